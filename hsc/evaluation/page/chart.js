"use strict";
// A chart: lines and their points as an SVG, drawn from chart = {views: {view: title of the horizontal axis}, pixels,
// curves: [{name, colour, dash, width, marker}], metrics: [{name, axis, trained_on: [number of a curve],
// points: {view: [[{x, y, low, high, joined, text}] for each curve]}, csv: {view: {head, curves}},
// pgfplots: {view: {log, linear, curves, end}}}]}, all values as they are shown.
function startChart(part, chart, view) {
  const SVG = "http://www.w3.org/2000/svg";
  const MARKS = [
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", "M-3.6 -3.6h7.2v7.2h-7.2Z", "M0 -5L5 0L0 5L-5 0Z",
    "M0 -5L4.6 3.4H-4.6Z", "M0 5L4.6 -3.4H-4.6Z", "M-1.6 -4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3Z",
  ];
  const FEWEST_TICKS = 3;
  const HINT = "Point at a marker for its numbers, or put the focus on the chart and use the arrow keys. Bands are 95 % confidence intervals.";
  const SAVED = { width: 760, height: 460, ink: "#1a1a1a" };
  const name = part.dataset.chart;
  const [holder, metric, log, tip] = [".plot", ".metric", ".log", ".tip"].map((one) => part.querySelector(one));
  const count = document.getElementById("count");
  const boxes = [...part.querySelectorAll(".chips input")];
  const several = Object.keys(chart.views).length > 1;
  let marks = []; // what is drawn: {curve, place, x, y, text} in pixels of the chart
  let ring = null;
  let current = null;
  let keyed = false; // whether it was chosen by keys
  let mouse = { x: NaN, y: NaN }; // on the screen

  const counted = () => (several ? count.value : Object.keys(chart.views)[0]);
  const chosen = () => chart.metrics.find((one) => one.name === metric.value);

  function element(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function shownSeries() {
    const points = chosen().points[counted()];
    return chart.curves.map((curve, number) => ({ number, curve, points: points[number] }))
      .filter(({ number, points }) => boxes[number].checked && points.length);
  }

  // Numbers of one, two or five times a power of ten, all at equal distances, `wanted` of them or a few more.
  function evenTicks(low, high, wanted) {
    for (let parts = Math.max(wanted, FEWEST_TICKS - 1); ; parts += 1) {
      const power = 10 ** Math.floor(Math.log10((high - low) / parts));
      const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= (high - low) / parts * 0.999);
      const ticks = [];
      for (let tick = Math.ceil(low / step); tick * step <= high; tick += 1) ticks.push(tick * step);
      if (ticks.length >= FEWEST_TICKS) return ticks;
    }
  }

  function ticksAcross(low, high, place, room) {
    const wanted = Math.max(Math.floor(room / 90), FEWEST_TICKS - 1);
    if (!log.checked) return spaced(evenTicks(low, high, wanted), place, 46);
    const rounded = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      [1, 2, 5].forEach((step) => rounded.push(step * 10 ** power));
    }
    const ticks = spaced(rounded.filter((tick) => tick >= low && tick <= high), place, 46);
    return ticks.length >= FEWEST_TICKS ? ticks : evenTicks(low, high, wanted);
  }

  function spaced(ticks, place, gap) {
    let last = -Infinity;
    return ticks.filter((tick) => {
      if (Math.abs(place(tick) - last) < gap) return false;
      last = place(tick);
      return true;
    });
  }

  const plain = (value) => String(Number(value.toPrecision(6)));

  function draw() {
    leave();
    holder.replaceChildren();
    boxes.forEach((box, number) => box.parentElement.classList.toggle("trained", chosen().trained_on.includes(number)));
    marks = [];
    ring = null;
    const series = shownSeries();
    if (!series.length) {
      holder.textContent = boxes.some((box) => box.checked) ? "None of those chosen was measured so." : "Nothing is chosen.";
      return;
    }
    const width = Math.max(holder.clientWidth - 16, 260);
    const height = Math.round(Math.min(Math.max(width * 0.56, 300), 520));
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": chosen().axis }, holder);
    drawAll(svg, series, width, height);
    ring = element("circle", { r: 9, fill: "none", stroke: "currentColor", "stroke-width": 2, visibility: "hidden" }, svg);
  }

  function drawAll(svg, series, width, height) {
    const box = { left: 62, right: width - 14, top: chart.pixels ? 44 : 14, bottom: height - 46 };
    const all = series.flatMap((one) => one.points);
    const rates = all.map((point) => point.x);
    const values = all.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
    const scale = log.checked ? Math.log10 : (rate) => rate;
    const [left, right] = padded(scale(Math.min(...rates)), scale(Math.max(...rates)), 0.04);
    const [low, high] = padded(Math.min(...values), Math.max(...values), 0.05);
    const x = (rate) => box.left + ((scale(rate) - left) / (right - left)) * (box.right - box.left);
    const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);
    const back = (place) => (log.checked ? 10 ** place : Math.max(place, 0));
    drawAxes(svg, box, x, y, [back(left), back(right)], [low, high]);
    marks = series.flatMap((one) => drawCurve(svg, one, x, y));
  }

  function padded(low, high, share) {
    const room = (high - low || Math.abs(high) || 1) * share;
    return [low - room, high + room];
  }

  function drawAxes(svg, box, x, y, [least, most], [low, high]) {
    const grid = { stroke: "currentColor", "stroke-opacity": 0.2 };
    const rule = { stroke: "currentColor", "stroke-opacity": 0.6 };
    const small = { fill: "currentColor", "font-size": 12, class: "tick" };
    const title = { fill: "currentColor", "font-size": 12.5, "text-anchor": "middle" };
    evenTicks(low, high, Math.floor((box.bottom - box.top) / 55)).forEach((tick) => {
      element("line", { x1: box.left, x2: box.right, y1: y(tick), y2: y(tick), ...grid }, svg);
      element("text", { x: box.left - 8, y: y(tick) + 4, "text-anchor": "end", "data-axis": "y", ...small }, svg, plain(tick));
    });
    ticksAcross(least, most, x, box.right - box.left).forEach((tick) => {
      element("line", { x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom, ...grid }, svg);
      element("text", { x: x(tick), y: box.bottom + 18, "text-anchor": "middle", "data-axis": "x", ...small }, svg, plain(tick));
    });
    const middle = (box.left + box.right) / 2;
    element("text", { x: middle, y: box.bottom + 38, ...title }, svg, chart.views[counted()]);
    element("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, ...rule }, svg);
    if (!chart.pixels) return;
    const bytes = (size) => x((size * 8) / chart.pixels);
    ticksAcross((least * chart.pixels) / 8, (most * chart.pixels) / 8, bytes, box.right - box.left).forEach((size) => {
      element("line", { x1: bytes(size), x2: bytes(size), y1: box.top - 5, y2: box.top, ...rule }, svg);
      element("text", { x: bytes(size), y: box.top - 9, "text-anchor": "middle", "data-axis": "bytes", ...small }, svg, plain(size));
    });
    element("text", { x: middle, y: 13, ...title }, svg, "Bytes per face");
    element("line", { x1: box.left, x2: box.right, y1: box.top, y2: box.top, ...rule }, svg);
  }

  // Draws one curve; returns its marks.
  function drawCurve(svg, { number, curve, points }, x, y) {
    const group = element("g", { "data-curve": number }, svg);
    const joined = points.filter((point) => point.joined);
    if (joined.length > 1 && joined.every((point) => point.low !== undefined)) {
      const upper = joined.map((point) => `${x(point.x)},${y(point.high)}`);
      const lower = joined.map((point) => `${x(point.x)},${y(point.low)}`).reverse();
      element("polygon", { points: [...upper, ...lower].join(" "), fill: curve.colour, opacity: 0.15, class: "band" }, group);
    }
    const path = joined.map((point) => `${x(point.x)},${y(point.y)}`).join(" ");
    element("polyline", { points: path, fill: "none", stroke: curve.colour, "stroke-width": curve.width, "stroke-dasharray": curve.dash }, group);
    return points.map((point, place) => {
      const at = { x: x(point.x), y: y(point.y) };
      element("path", { d: MARKS[curve.marker % MARKS.length], transform: `translate(${at.x} ${at.y})`, fill: curve.colour, opacity: point.joined ? 1 : 0.35, class: "mark" }, group);
      return { curve: number, place, text: `${curve.name}\n${point.text}`, ...at };
    });
  }

  function show(mark) {
    current = mark;
    ring.setAttribute("cx", mark.x);
    ring.setAttribute("cy", mark.y);
    ring.setAttribute("visibility", "visible");
    tip.replaceChildren(...mark.text.split("\n").map((line) => {
      const piece = document.createElement("span");
      piece.textContent = line;
      return piece;
    }));
    tip.classList.add("told");
  }

  function leave() {
    tip.textContent = HINT;
    tip.classList.remove("told");
    current = null;
    if (ring) ring.setAttribute("visibility", "hidden");
  }

  function point(event) {
    const svg = holder.querySelector("svg");
    if (!svg) return;
    const area = svg.getBoundingClientRect();
    const distance = (mark) => Math.hypot(area.left + mark.x - event.clientX, area.top + mark.y - event.clientY);
    const nearest = marks.reduce((best, mark) => (distance(mark) < distance(best) ? mark : best), marks[0]);
    if (nearest && distance(nearest) < 28) show(nearest);
    else leave();
  }

  // Scrolling, too, sends pointer events from a mouse that lies still: they must not take away what keys have shown.
  function byHand(handle) {
    return (event) => {
      const still = event.screenX === mouse.x && event.screenY === mouse.y;
      mouse = { x: event.screenX, y: event.screenY };
      if (keyed && still) return;
      keyed = false;
      handle(event);
    };
  }

  function step(event) {
    const along = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const across = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Escape") leave();
    if ((!along && !across) || !marks.length) return;
    event.preventDefault();
    keyed = true;
    if (!current) return show(marks[0]);
    const drawn = [...new Set(marks.map((mark) => mark.curve))];
    const other = drawn[(drawn.indexOf(current.curve) + (across || 0) + drawn.length) % drawn.length];
    const own = marks.filter((mark) => mark.curve === other);
    show(own[Math.min(Math.max(current.place + (along || 0), 0), own.length - 1)]);
  }

  // The chart as it is shown, with a legend, on white and in a size for papers.
  function paper() {
    const series = shownSeries();
    const rows = legendRows(series);
    const height = SAVED.height + 20 * rows.length;
    const before = marks;
    const svg = document.createElementNS(SVG, "svg");
    const size = { width: SAVED.width, height, viewBox: `0 0 ${SAVED.width} ${height}` };
    const look = { xmlns: SVG, color: SAVED.ink, "font-family": "Helvetica, Arial, sans-serif" };
    Object.entries({ ...size, ...look }).forEach(([key, value]) => svg.setAttribute(key, value));
    element("rect", { width: SAVED.width, height, fill: "#ffffff" }, svg);
    drawAll(svg, series, SAVED.width, SAVED.height);
    marks = before;
    const vertical = element("text", { transform: `translate(13 ${SAVED.height / 2}) rotate(-90)`, "text-anchor": "middle", "font-size": 12.5, fill: "currentColor" }, svg, chosen().axis);
    vertical.setAttribute("class", "axis");
    rows.forEach((row, line) => row.forEach(({ curve, x }) => {
      const y = SAVED.height + 12 + 20 * line;
      element("line", { x1: x, x2: x + 28, y1: y - 4, y2: y - 4, stroke: curve.colour, "stroke-width": curve.width, "stroke-dasharray": curve.dash }, svg);
      element("path", { d: MARKS[curve.marker % MARKS.length], transform: `translate(${x + 14} ${y - 4})`, fill: curve.colour }, svg);
      element("text", { x: x + 34, y, "font-size": 12, fill: "currentColor" }, svg, curve.label);
    }));
    return { text: new XMLSerializer().serializeToString(svg), height };
  }

  function legendRows(series) {
    const rows = [[]];
    let x = 62;
    series.forEach(({ number, curve }) => {
      const label = `${curve.name}${chosen().trained_on.includes(number) ? "†" : ""}`;
      const width = 34 + 7 * label.length + 18;
      if (x + width > SAVED.width && rows.at(-1).length) {
        rows.push([]);
        x = 62;
      }
      rows.at(-1).push({ curve: { ...curve, label }, x });
      x += width;
    });
    return rows;
  }

  function save(kind) {
    const numbers = shownSeries().map((one) => one.number);
    if (!numbers.length) return;
    const stem = chosen().name.replace(/[^\w.@-]/g, "-");
    const { csv, pgfplots } = { csv: chosen().csv[counted()], pgfplots: chosen().pgfplots[counted()] };
    const pieces = (of) => numbers.map((number) => of.curves[number]).join("");
    if (kind === "csv") return saveText(`${stem}.csv`, csv.head + pieces(csv), "text/csv");
    if (kind === "tex") return saveText(`${stem}.tex`, pgfplots[log.checked ? "log" : "linear"] + pieces(pgfplots) + pgfplots.end, "text/plain");
    const drawn = paper();
    if (kind === "svg") return saveText(`${stem}.svg`, drawn.text, "image/svg+xml");
    return savePng(`${stem}.png`, drawn.text, SAVED.width, drawn.height, 3);
  }

  const hidden = view.all(`${name}.hide`);
  boxes.forEach((box) => {
    box.checked = !hidden.includes(box.value);
    box.addEventListener("input", () => {
      view.keep(`${name}.hide`, boxes.filter((one) => !one.checked).map((one) => one.value), []);
      draw();
    });
  });
  [metric, log].forEach((control) => control.addEventListener("input", draw));
  if (several) count.addEventListener("input", draw);
  holder.addEventListener("pointermove", byHand(point));
  holder.addEventListener("pointerdown", byHand(point));
  holder.addEventListener("pointerleave", byHand(leave));
  holder.addEventListener("keydown", step);
  holder.addEventListener("blur", leave);
  part.querySelectorAll("[data-save]").forEach((button) => button.addEventListener("click", () => save(button.dataset.save)));
  let drawnWidth = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth !== drawnWidth) {
      drawnWidth = holder.clientWidth;
      draw();
    }
  }).observe(holder);
}
