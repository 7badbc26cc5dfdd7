// Texts with less contrast than WCAG 2.2 asks for, 4.5 to 1 (success criterion 1.4.3).
() => {
  const channels = colour => colour.match(/[\d.]+/g).map(Number);
  const linear = value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const light = ([red, green, blue]) => 0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
  const back = node => getComputedStyle(node).backgroundColor;
  const faults = new Set();
  for (const node of document.querySelectorAll("body *")) {
    const hasText = [...node.childNodes].some(each => each.nodeType === Node.TEXT_NODE && each.data.trim());
    if (!hasText || !node.checkVisibility() || node.closest("script, noscript, .skip, :disabled")) continue;
    let behind = node;
    while (behind !== document.body && channels(back(behind))[3] === 0) behind = behind.parentElement;
    const [one, two] = [getComputedStyle(node).color, back(behind)].map(colour => light(channels(colour)));
    const contrast = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    if (contrast < 4.5) faults.add(`${contrast.toFixed(2)}: ${node.className} ${node.textContent.slice(0, 20)}`);
  }
  return [...faults];
}
