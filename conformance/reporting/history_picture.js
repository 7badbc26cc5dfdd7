// Draws the pictures of histories: lanes of partitions, time to the right. Wheel, pinch, keys and buttons zoom and move.
"use strict"
for (const figure of document.querySelectorAll("figure.history")) {
  const data = JSON.parse(figure.querySelector("script[type='application/json']").textContent)
  const canvas = figure.querySelector("canvas")
  const said = figure.querySelector(".history-said")
  const context = canvas.getContext("2d")
  const LANE = 34, TOP = 22, MEMBERS = 30, RIGHT = 10
  const times = data.marks.flatMap((mark) => (mark[3] === null ? [mark[2]] : [mark[2], mark[3]]))
  const first = times.reduce((one, other) => Math.min(one, other), Infinity)
  const last = times.reduce((one, other) => Math.max(one, other), -Infinity)
  const begin = times.length ? first : 0
  const end = times.length ? Math.max(last, first + 0.001) : 1
  let from = begin, to = end, width = 0, left = 90, chosen = -1, anomaly = -1
  const style = (name) => getComputedStyle(figure).getPropertyValue(name).trim()
  const dark = matchMedia("(prefers-color-scheme: dark)")
  const colour = (who) => (who < 0 ? style("--faint") : `hsl(${(who * 137.5 + 210) % 360} 60% ${dark.matches ? 64 : 42}%)`)
  const x = (time) => left + ((time - from) / (to - from)) * (width - left - RIGHT)
  const y = (lane) => (lane < 0 ? TOP : TOP + MEMBERS + lane * LANE)
  const height = TOP + MEMBERS + data.lanes.length * LANE + 8

  // Whoever got the last record of a partition counts as its owner until another one gets one.
  const owners = []
  const latest = new Map()
  for (const [kind, lane, , ended, who] of data.marks)
    if (kind === "deliver" && latest.get(lane)?.[3] !== who) {
      if (latest.has(lane)) latest.get(lane)[2] = ended
      latest.set(lane, [lane, ended, end, who])
      owners.push(latest.get(lane))
    }

  const legend = figure.querySelector(".history-legend")
  const entry = (text, background) => {
    const span = document.createElement("span")
    if (background) Object.assign(span.appendChild(document.createElement("i")).style, { background })
    span.append(text)
    legend.append(span)
  }
  const drawLegend = () => {
    legend.textContent = ""
    data.consumers.slice(0, 12).forEach((name, who) => entry(name, colour(who)))
    if (data.consumers.length > 12) entry(`and ${data.consumers.length - 12} more consumers`)
    entry("▏published  ● delivered  ✓ acknowledged  ↩ given back  ✕ refused  ? unknown  ▬ held  ▁ owner  ✂ cut  ∅ empty poll")
    if (data.faults.length) entry("⚡ fault, until ✚")
    if (data.anomalies.length) entry(`anomaly (${data.anomalies.length})`, style("--bad"))
  }

  const draw = () => {
    const ratio = devicePixelRatio || 1
    width = canvas.clientWidth
    left = Math.min(140, Math.max(60, width / 5))
    canvas.width = width * ratio
    canvas.height = height * ratio
    canvas.style.height = `${height}px`
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    context.fillStyle = style("--paper")
    context.fillRect(0, 0, width, height)
    context.font = "12px system-ui, sans-serif"
    context.textBaseline = "middle"
    data.lanes.forEach((name, lane) => {
      if (lane % 2 === 0) {
        context.fillStyle = style("--shade")
        context.fillRect(0, y(lane), width, LANE)
      }
    })
    context.save()
    context.beginPath()
    context.rect(left, 0, width - left, height)
    context.clip()
    drawAxis()
    for (const [since, until, name] of data.faults) {
      if (since > to || until < from) continue
      context.globalAlpha = 0.12
      context.fillStyle = style("--bad")
      context.fillRect(x(since), TOP, Math.max(2, x(until) - x(since)), height - TOP)
      context.globalAlpha = 1
      context.fillText(name, x(since) + 8, TOP + MEMBERS - 6)
    }
    for (const [lane, since, until, who] of owners) {
      if (since > to || until < from) continue
      context.globalAlpha = 0.8
      context.fillStyle = colour(who)
      context.fillRect(x(since), y(lane) + LANE - 4, Math.max(1, x(until) - x(since)), 3)
      context.globalAlpha = 1
    }
    for (const [lane, since, until, who] of data.held) {
      if (lane < 0 || since > to || (until !== null && until < from)) continue
      context.globalAlpha = 0.45
      context.fillStyle = colour(who)
      context.fillRect(x(since), y(lane) + 10, Math.max(1, x(until === null ? end : until) - x(since)), LANE - 20)
      context.globalAlpha = 1
    }
    data.marks.forEach((mark, number) => drawMark(mark, number === chosen))
    context.restore()
    context.fillStyle = style("--ink")
    context.fillText("members", 6, y(-1) + MEMBERS / 2, left - 10)
    data.lanes.forEach((name, lane) => context.fillText(name, 6, y(lane) + LANE / 2, left - 10))
    figure.dataset.from = from
    figure.dataset.to = to
    figure.dataset.anomaly = anomaly
  }
  const drawAxis = () => {
    const rough = (to - from) / Math.max(2, (width - left) / 90)
    const power = 10 ** Math.floor(Math.log10(rough))
    const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough)
    context.fillStyle = style("--faint")
    context.strokeStyle = style("--line")
    // A monotonic clock may begin anywhere: large times are shown from the first event.
    const zero = begin > 1000 ? begin : 0
    for (let tick = Math.ceil((from - zero) / step); tick * step <= to - zero; tick++) {
      const at = x(zero + tick * step)
      context.beginPath()
      context.moveTo(at, TOP)
      context.lineTo(at, height)
      context.stroke()
      context.fillText(`${zero ? "+" : ""}${+(tick * step).toPrecision(10)} s`, at + 2, TOP / 2)
    }
  }
  const middleOf = (mark) => (mark[3] === null ? mark[2] : (mark[2] + mark[3]) / 2)
  const SIGNS = {
    acknowledge: "✓", "give back": "↩", gone: "✕", cut: "✂", leave: "⇥", join: "⇤", restart: "⟲", fault: "⚡", heal: "✚", empty: "∅", beat: "♥",
  }
  const drawMark = (mark, isChosen) => {
    const [kind, lane, , , who, outcome, , proofs] = mark
    const at = x(middleOf(mark))
    if (at < left - 20 || at > width + 20) return
    const middle = y(lane) + (lane < 0 ? MEMBERS : LANE) / 2
    context.fillStyle = context.strokeStyle = outcome === "ok" ? colour(who) : style(outcome === "refused" ? "--warn" : "--faint")
    context.textAlign = "center"
    if (kind === "publish") context.fillRect(at - 1, y(lane) + 3, 2, 8)
    else if (kind === "deliver") {
      context.beginPath()
      context.arc(at, middle, 4, 0, 7)
      context.fill()
    } else context.fillText(outcome === "unknown" && kind !== "cut" && kind !== "restart" && kind !== "fault" ? "?" : outcome === "refused" ? "✕" : SIGNS[kind], at, lane < 0 ? middle : middle + 10)
    context.textAlign = "start"
    if (proofs.length || isChosen) {
      const isCurrent = isChosen || anomaly < 0 || proofs.includes(anomaly)
      context.strokeStyle = isChosen ? style("--received") : style("--bad")
      context.globalAlpha = isCurrent ? 1 : 0.25
      context.lineWidth = 2.5
      context.beginPath()
      context.arc(at, kind === "publish" ? y(lane) + 7 : kind === "deliver" || lane < 0 ? middle : middle + 10, 9, 0, 7)
      context.stroke()
      context.lineWidth = 1
      context.globalAlpha = 1
    }
  }

  let waiting = 0
  const redraw = () => {
    cancelAnimationFrame(waiting)
    waiting = requestAnimationFrame(draw)
  }
  const show = (start, stop) => {
    const most = (end - begin) * 1.1
    const span = Math.min(most, Math.max(most / 1e6, stop - start))
    const centre = (start + stop) / 2
    from = Math.max(begin - most * 0.05, Math.min(centre - span / 2, end + most * 0.05 - span))
    to = from + span
    redraw()
  }
  const zoom = (factor, at = (from + to) / 2) => show(at - (at - from) * factor, at + (to - at) * factor)
  const move = (part) => show(from + (to - from) * part, to + (to - from) * part)
  const timeAt = (clientX) => {
    const box = canvas.getBoundingClientRect()
    return from + ((clientX - box.left - left) / (width - left - RIGHT)) * (to - from)
  }
  const next = () => {
    if (!data.anomalies.length) return void (said.textContent = "There is no anomaly.")
    anomaly = (anomaly + 1) % data.anomalies.length
    const { name, clause, text } = data.anomalies[anomaly]
    const at = data.marks.filter((mark) => mark[7].includes(anomaly)).map(middleOf)
    said.textContent = `${anomaly + 1} of ${data.anomalies.length}: ${name} (${clause}): ${text}`
    if (!at.length) return redraw()
    const start = Math.min(...at), stop = Math.max(...at)
    const margin = Math.max((stop - start) * 0.25, (end - begin) / 200)
    show(start - margin, stop + margin)
  }
  const all = () => {
    anomaly = -1
    show(begin - (end - begin) * 0.02, end + (end - begin) * 0.02)
  }
  const ACTS = { in: () => zoom(0.5), out: () => zoom(2), left: () => move(-0.3), right: () => move(0.3), all, next }
  for (const button of figure.querySelectorAll("button")) button.onclick = () => ACTS[button.dataset.act]()
  const KEYS = {
    "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all", n: "next", N: "next",
  }
  canvas.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    ACTS[KEYS[event.key]]()
  })
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault()
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(event.deltaX / 600)
      else zoom(Math.exp(event.deltaY / 400), timeAt(event.clientX))
    },
    { passive: false },
  )
  const pointers = new Map()
  let moved = 0
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId)
    pointers.set(event.pointerId, event.clientX)
    moved = 0
  })
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId)
    if (before === undefined) return
    moved += Math.abs(event.clientX - before)
    if (pointers.size === 1) {
      const shift = timeAt(before) - timeAt(event.clientX)
      show(from + shift, to + shift)
    } else {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1]
      const old = Math.abs(before - other), now = Math.abs(event.clientX - other)
      if (old > 5 && now > 5) zoom(old / now, timeAt((event.clientX + other) / 2))
    }
    pointers.set(event.pointerId, event.clientX)
  })
  const lift = (event) => pointers.delete(event.pointerId)
  canvas.addEventListener("pointercancel", lift)
  canvas.addEventListener("pointerup", (event) => {
    lift(event)
    if (moved > 6) return
    const box = canvas.getBoundingClientRect()
    const px = event.clientX - box.left, py = event.clientY - box.top
    let best = 14
    chosen = -1
    data.marks.forEach((mark, number) => {
      const middle = y(mark[1]) + (mark[1] < 0 ? MEMBERS : LANE) / 2
      const distance = Math.hypot(x(middleOf(mark)) - px, (middle - py) / 2)
      if (distance < best) [best, chosen] = [distance, number]
    })
    said.textContent = chosen < 0 ? "" : data.lines[data.marks[chosen][6]]
    redraw()
  })
  new ResizeObserver(redraw).observe(canvas)
  dark.addEventListener("change", () => (drawLegend(), redraw()))
  drawLegend()
  all()
}
