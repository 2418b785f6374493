"use strict";
// A chart: lines and their points as an SVG, drawn from chart = {views: {view: title of the horizontal axis}, pixels,
// curves: [{name, colour, dash, width, marker}], metrics: [{name, axis, trained_on: [number of a curve],
// points: {view: [[{x, y, low, high, joined, text}] for each curve]}, csv: {view: {head, curves}},
// pgfplots: {view: {log, linear, curves, end}}}]}, all values in the displayed units.
function startChart(part, chart, view) {
  const MARKS = [
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", "M-3.6 -3.6h7.2v7.2h-7.2Z", "M0 -5L5 0L0 5L-5 0Z",
    "M0 -5L4.6 3.4H-4.6Z", "M0 5L4.6 -3.4H-4.6Z", "M-1.6 -4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3Z",
  ];
  const FEWEST_TICKS = 3;
  const HINT = "Point at a marker for its numbers, or put the focus on the chart and use the arrow keys.";
  const BANDS = " Bands are 95 % confidence intervals.";
  const SAVED_HEIGHT = 460; // of a saved chart, without its legend
  const name = part.dataset.chart;
  const [holder, metric, log, tip] = [".plot", ".metric", ".log", ".tip"].map((one) => part.querySelector(one));
  const count = document.getElementById("count");
  const boxes = [...part.querySelectorAll(".chips input")];
  const several = Object.keys(chart.views).length > 1;
  let marks = []; // the markers drawn: {curve, place, x, y, text} in pixels of the chart
  let ring = null;
  let current = null;
  let keyed = false; // whether the current marker was selected with the keyboard
  let mouse = { x: NaN, y: NaN }; // on the screen

  const counted = () => (several ? count.value : Object.keys(chart.views)[0]);
  const chosen = () => chart.metrics.find((one) => one.name === metric.value);

  function shownSeries() {
    const points = chosen().points[counted()];
    return chart.curves.map((curve, number) => ({ number, curve, points: points[number] }))
      .filter(({ number, points }) => boxes[number].checked && points.length);
  }

  // Equally spaced ticks whose step is one, two or five times a power of ten: `wanted` of them or a few more.
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
    if (!log.checked) return spaced(evenTicks(low, high, wanted), place);
    const rounded = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      [1, 2, 5].forEach((step) => rounded.push(step * 10 ** power));
    }
    const ticks = spaced(rounded.filter((tick) => tick >= low && tick <= high), place);
    return ticks.length >= FEWEST_TICKS ? ticks : evenTicks(low, high, wanted);
  }

  // The ticks whose labels do not overlap.
  function spaced(ticks, place) {
    let end = -Infinity;
    return ticks.filter((tick) => {
      const half = Math.max(23, CHARACTER * plain(tick).length / 2 + 6);
      if (place(tick) - half < end) return false;
      end = place(tick) + half;
      return true;
    });
  }

  const plain = (value) => String(Number(value.toPrecision(6)));

  // Labels with the same number of decimals.
  function alike(ticks) {
    const texts = ticks.map(plain);
    if (texts.some((text) => text.includes("e"))) return texts;
    const decimals = Math.max(...texts.map((text) => (text.split(".")[1] || "").length));
    return ticks.map((tick) => tick.toFixed(decimals));
  }

  function draw() {
    holder.replaceChildren();
    boxes.forEach((box, number) => box.parentElement.classList.toggle("trained", chosen().trained_on.includes(number)));
    marks = [];
    ring = null;
    drawSeries(shownSeries());
    leave();
  }

  function drawSeries(series) {
    if (!series.length) {
      holder.textContent = boxes.some((box) => box.checked) ? "None of those chosen was measured so." : "Nothing is chosen.";
      return;
    }
    const width = Math.max(holder.clientWidth - 16, 260);
    const height = Math.round(Math.min(Math.max(width * 0.56, 300), 520));
    const svg = drawInto(holder, (empty) => {
      drawAll(empty, series, width, height);
      return [width, height];
    }, width, { role: "img", "aria-label": chosen().axis });
    ring = svgElement("circle", { r: 9, fill: "none", stroke: "currentColor", "stroke-width": 2, visibility: "hidden" }, svg);
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
    const upright = evenTicks(low, high, Math.floor((box.bottom - box.top) / 55));
    const labels = alike(upright);
    upright.forEach((tick, place) => {
      svgElement("line", { x1: box.left, x2: box.right, y1: y(tick), y2: y(tick), ...grid }, svg);
      svgElement("text", { x: box.left - 8, y: y(tick) + 4, "text-anchor": "end", "data-axis": "y", ...small }, svg, labels[place]);
    });
    ticksAcross(least, most, x, box.right - box.left).forEach((tick) => {
      svgElement("line", { x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom, ...grid }, svg);
      svgElement("text", { x: x(tick), y: box.bottom + 18, "text-anchor": "middle", "data-axis": "x", ...small }, svg, plain(tick));
    });
    const middle = (box.left + box.right) / 2;
    svgElement("text", { x: middle, y: box.bottom + 38, ...title }, svg, chart.views[counted()]);
    svgElement("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, ...rule }, svg);
    if (!chart.pixels) return;
    const bytes = (size) => x((size * 8) / chart.pixels);
    ticksAcross((least * chart.pixels) / 8, (most * chart.pixels) / 8, bytes, box.right - box.left).forEach((size) => {
      svgElement("line", { x1: bytes(size), x2: bytes(size), y1: box.top - 5, y2: box.top, ...rule }, svg);
      svgElement("text", { x: bytes(size), y: box.top - 9, "text-anchor": "middle", "data-axis": "bytes", ...small }, svg, plain(size));
    });
    svgElement("text", { x: middle, y: 13, ...title }, svg, "Bytes per face");
    svgElement("line", { x1: box.left, x2: box.right, y1: box.top, y2: box.top, ...rule }, svg);
  }

  // Draws one curve; returns its marks.
  function drawCurve(svg, { number, curve, points }, x, y) {
    const group = svgElement("g", { "data-curve": number }, svg);
    const joined = points.filter((point) => point.joined);
    if (joined.length > 1 && joined.every((point) => point.low !== undefined)) {
      const upper = joined.map((point) => `${x(point.x)},${y(point.high)}`);
      const lower = joined.map((point) => `${x(point.x)},${y(point.low)}`).reverse();
      svgElement("polygon", { points: [...upper, ...lower].join(" "), fill: curve.colour, opacity: 0.15, class: "band" }, group);
    }
    const path = joined.map((point) => `${x(point.x)},${y(point.y)}`).join(" ");
    svgElement("polyline", { points: path, fill: "none", stroke: curve.colour, "stroke-width": curve.width, "stroke-dasharray": curve.dash }, group);
    return points.map((point, place) => {
      const at = { x: x(point.x), y: y(point.y) };
      svgElement("path", { d: MARKS[curve.marker % MARKS.length], transform: `translate(${at.x} ${at.y})`, fill: curve.colour, opacity: point.joined ? 1 : 0.5, class: "mark" }, group);
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
    tip.textContent = HINT + (holder.querySelector(".band") ? BANDS : "");
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

  // Scrolling also sends pointer events from a resting mouse: they must not hide a marker selected with the keyboard.
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

  // The displayed chart, with a legend and a title of the vertical axis.
  function drawSaved(svg, width) {
    const series = shownSeries();
    const named = series.map(({ number, curve }) => ({ ...curve, name: `${curve.name}${chosen().trained_on.includes(number) ? "†" : ""}` }));
    const rows = inRows(named, 62, width, 52);
    const before = marks;
    drawAll(svg, series, width, SAVED_HEIGHT);
    marks = before;
    svgElement("text", { transform: `translate(13 ${SAVED_HEIGHT / 2}) rotate(-90)`, "text-anchor": "middle", "font-size": 12.5, fill: "currentColor", class: "axis" }, svg, chosen().axis);
    rows.forEach((row, line) => row.forEach((curve) => {
      const { x, y } = { x: curve.x, y: SAVED_HEIGHT + 12 + 20 * line };
      svgElement("line", { x1: x, x2: x + 28, y1: y - 4, y2: y - 4, stroke: curve.colour, "stroke-width": curve.width, "stroke-dasharray": curve.dash }, svg);
      svgElement("path", { d: MARKS[curve.marker % MARKS.length], transform: `translate(${x + 14} ${y - 4})`, fill: curve.colour }, svg);
      svgElement("text", { x: x + 34, y, "font-size": 12, fill: "currentColor" }, svg, curve.name);
    }));
    return [width, SAVED_HEIGHT + 20 * rows.length];
  }

  function save(kind) {
    const numbers = shownSeries().map((one) => one.number);
    if (!numbers.length) return;
    const stem = chosen().name.replace(/[^\w.@-]/g, "-");
    const { csv, pgfplots } = { csv: chosen().csv[counted()], pgfplots: chosen().pgfplots[counted()] };
    const pieces = (of) => numbers.map((number) => of.curves[number]).join("");
    if (kind === "csv") return saveText(`${stem}.csv`, csv.head + pieces(csv), "text/csv");
    if (kind === "tex") return saveText(`${stem}.tex`, pgfplots[log.checked ? "log" : "linear"] + pieces(pgfplots) + pgfplots.end, "text/plain");
    return saveFigure(stem, kind, drawSaved);
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
  drawAtWidth(holder, draw);
}
