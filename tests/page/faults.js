// Texts that are cut off without a sign and a title, lie outside the page, or on one another.
() => {
  const faults = [], shown = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const common = (one, two) => ({
    left: Math.max(one.left, two.left), right: Math.min(one.right, two.right),
    top: Math.max(one.top, two.top), bottom: Math.min(one.bottom, two.bottom),
  });
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    if (!node.data.trim() || parent.closest(".skip, script, noscript")) continue;
    if (!parent.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const line of range.getClientRects()) {
      let box = line, isCut = false, hasSign = false;
      for (let each = parent; each && each !== document.body; each = each.parentElement) {
        const style = getComputedStyle(each), clip = each.getBoundingClientRect();
        if (style.overflowX === "visible" && style.overflowY === "visible") continue;
        hasSign ||= style.textOverflow === "ellipsis" || style.webkitLineClamp !== "none";
        // A line is higher than its letters: some pixels above and below may go.
        isCut ||= box.left < clip.left - 1 || box.right > clip.right + 1 || box.top < clip.top - 4 || box.bottom > clip.bottom + 4;
        box = common(box, clip);
      }
      if (isCut && !(hasSign && parent.closest("[title]"))) faults.push(`cut off: ${node.data}`);
      if (box.right > document.documentElement.clientWidth + 1) faults.push(`outside: ${node.data}`);
      shown.push({node, text: node.data, box});
    }
  }
  shown.sort((one, two) => one.box.top - two.box.top);
  for (const [index, one] of shown.entries()) {
    for (let next = index + 1; next < shown.length && shown[next].box.top < one.box.bottom - 4; next++) {
      if (shown[next].node === one.node) continue;  // the lines of one text, and the part before an ellipsis
      const both = common(one.box, shown[next].box);
      if (both.right - both.left > 1 && both.bottom - both.top > 4) faults.push(`on one another: ${one.text} and ${shown[next].text}`);
    }
  }
  return faults;
}
