"use strict";
// The curves: a small SVG chart drawn from data = {counts: {count: words}, pixels,
// curves: [{name, colour, dash, width, marker, cloud}], metrics: [{axis, points: {count: {curve: [{x, y, low, high, text}]}}}]},
// all values as they are shown.
function startChart(data) {
  const SVG = "http://www.w3.org/2000/svg";
  const MARKS = [
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z", "M-3.6 -3.6h7.2v7.2h-7.2Z", "M0 -5L5 0L0 5L-5 0Z",
    "M0 -5L4.6 3.4H-4.6Z", "M0 5L4.6 -3.4H-4.6Z", "M-1.6 -4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3Z",
  ];
  const holder = document.getElementById("chart");
  const metric = document.getElementById("metric");
  const count = document.getElementById("count");
  const log = document.getElementById("log");
  const boxes = [...document.querySelectorAll(".chips input")];
  const tip = document.getElementById("tip");
  let marks = []; // what is drawn: {curve, place, x, y, text} in pixels of the chart
  let ring = null;
  let current = null;
  let keyed = false; // whether it was chosen by keys
  let mouse = { x: NaN, y: NaN }; // on the screen

  function element(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function shownSeries() {
    const points = data.metrics[Number(metric.value)].points[count.value];
    return boxes.filter((box) => box.checked && (points[box.value] || []).length)
      .map((box) => ({ number: Number(box.value), curve: data.curves[box.value], points: points[box.value] }));
  }

  function rateTicks(low, high, count) {
    if (!log.checked) return evenTicks(low, high, count);
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
      [1, 2, 5].forEach((step) => ticks.push(step * 10 ** power));
    }
    return ticks.filter((tick) => tick >= low && tick <= high);
  }

  function evenTicks(low, high, count) {
    const rough = (high - low) / Math.max(count, 1);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
    const ticks = [];
    for (let tick = Math.ceil(low / step); tick * step <= high; tick += 1) ticks.push(tick * step);
    return ticks;
  }

  const plain = (value) => String(Number(value.toPrecision(6)));

  function spaced(ticks, place, gap) {
    let last = -Infinity;
    return ticks.filter((tick) => {
      if (Math.abs(place(tick) - last) < gap) return false;
      last = place(tick);
      return true;
    });
  }

  function draw() {
    leave();
    holder.replaceChildren();
    const series = shownSeries();
    if (!series.length) {
      holder.textContent = "No codec is chosen.";
      marks = [];
      return;
    }
    const width = Math.max(holder.clientWidth - 16, 260);
    const height = Math.round(Math.min(Math.max(width * 0.56, 300), 520));
    const box = { left: 56, right: width - 14, top: data.pixels ? 44 : 14, bottom: height - 46 };
    const all = series.flatMap((one) => one.points);
    const rates = all.map((point) => point.x);
    const values = all.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
    const scale = log.checked ? Math.log10 : (rate) => rate;
    const [left, right] = padded(scale(Math.min(...rates)), scale(Math.max(...rates)), 0.04);
    const [low, high] = padded(Math.min(...values), Math.max(...values), 0.05);
    const x = (rate) => box.left + ((scale(rate) - left) / (right - left)) * (box.right - box.left);
    const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);
    const back = (place) => (log.checked ? 10 ** place : Math.max(place, 0));
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": data.metrics[Number(metric.value)].axis }, holder);
    drawAxes(svg, box, x, y, [back(left), back(right)], [low, high]);
    marks = [];
    series.forEach((one) => drawCurve(svg, one, x, y));
    ring = element("circle", { r: 9, class: "ring", visibility: "hidden" }, svg);
  }

  function padded(low, high, share) {
    const room = (high - low || Math.abs(high) || 1) * share;
    return [low - room, high + room];
  }

  function drawAxes(svg, box, x, y, [least, most], [low, high]) {
    const wide = Math.floor((box.right - box.left) / 90);
    evenTicks(low, high, Math.floor((box.bottom - box.top) / 55)).forEach((tick) => {
      element("line", { x1: box.left, x2: box.right, y1: y(tick), y2: y(tick), class: "grid" }, svg);
      element("text", { x: box.left - 8, y: y(tick) + 4, "text-anchor": "end" }, svg, plain(tick));
    });
    spaced(rateTicks(least, most, wide), x, 46).forEach((tick) => {
      element("line", { x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom, class: "grid" }, svg);
      element("text", { x: x(tick), y: box.bottom + 18, "text-anchor": "middle" }, svg, plain(tick));
    });
    const middle = (box.left + box.right) / 2;
    element("text", { x: middle, y: box.bottom + 38, "text-anchor": "middle", class: "axis" }, svg, `Bits per pixel, ${data.counts[count.value]}`);
    element("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, class: "rule" }, svg);
    if (!data.pixels) return;
    const bytes = (size) => x((size * 8) / data.pixels);
    const sizes = rateTicks((least * data.pixels) / 8, (most * data.pixels) / 8, wide);
    spaced(sizes, bytes, 46).forEach((size) => {
      element("line", { x1: bytes(size), x2: bytes(size), y1: box.top - 5, y2: box.top, class: "rule" }, svg);
      element("text", { x: bytes(size), y: box.top - 9, "text-anchor": "middle" }, svg, plain(size));
    });
    element("text", { x: middle, y: 13, "text-anchor": "middle", class: "axis" }, svg, "Bytes a face");
    element("line", { x1: box.left, x2: box.right, y1: box.top, y2: box.top, class: "rule" }, svg);
  }

  function drawCurve(svg, { number, curve, points }, x, y) {
    const group = element("g", { "data-curve": number }, svg);
    const joined = curve.cloud ? points.filter((point) => point.front) : points;
    if (joined.every((point) => point.low !== undefined)) {
      const upper = joined.map((point) => `${x(point.x)},${y(point.high)}`);
      const lower = joined.map((point) => `${x(point.x)},${y(point.low)}`).reverse();
      element("polygon", { points: [...upper, ...lower].join(" "), fill: curve.colour, opacity: 0.15, class: "band" }, group);
    }
    const path = joined.map((point) => `${x(point.x)},${y(point.y)}`).join(" ");
    element("polyline", { points: path, fill: "none", stroke: curve.colour, "stroke-width": curve.width, "stroke-dasharray": curve.dash }, group);
    points.forEach((point, place) => {
      const at = { x: x(point.x), y: y(point.y) };
      const faint = curve.cloud && !point.front ? 0.35 : 1;
      element("path", { d: MARKS[curve.marker % MARKS.length], transform: `translate(${at.x} ${at.y})`, fill: curve.colour, opacity: faint, class: "mark" }, group);
      marks.push({ curve: number, place, text: `${curve.name}\n${point.text}`, ...at });
    });
  }

  function show(mark) {
    current = mark;
    ring.setAttribute("cx", mark.x);
    ring.setAttribute("cy", mark.y);
    ring.setAttribute("visibility", "visible");
    tip.textContent = mark.text;
    tip.hidden = false;
    const area = holder.querySelector("svg").getBoundingClientRect();
    const [px, py] = [area.left + mark.x, area.top + mark.y];
    const edge = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(px + 14, edge))}px`;
    tip.style.top = `${py + 14 + tip.offsetHeight > window.innerHeight ? py - 14 - tip.offsetHeight : py + 14}px`;
  }

  function leave() {
    tip.hidden = true;
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

  function scrolled() {
    if (keyed && current) show(current);
    else leave();
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

  metric.addEventListener("change", draw);
  count.addEventListener("change", draw);
  log.addEventListener("change", draw);
  boxes.forEach((one) => one.addEventListener("change", draw));
  holder.addEventListener("pointermove", byHand(point));
  holder.addEventListener("pointerdown", byHand(point));
  holder.addEventListener("pointerleave", byHand(leave));
  holder.addEventListener("keydown", step);
  holder.addEventListener("blur", leave);
  window.addEventListener("scroll", scrolled, { passive: true });
  let drawnWidth = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth !== drawnWidth) {
      drawnWidth = holder.clientWidth;
      draw();
    }
  }).observe(holder);
}
