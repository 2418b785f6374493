"use strict";
// Parallel coordinates: figure = {axes: [{title, ticks: [{place, text}]}], lines: [{trial, colour, places: [on each
// axis, or null]}]}, places from 0 (bottom) to 1.
function drawParallel(figure, svg, room) {
  const [LEFT, NARROWEST, HEIGHT, LINE] = [10, 60, 260, 18];
  const BOLD = CHARACTER + 0.6;
  const last = figure.axes.length - 1;
  const right = 12 + CHARACTER * Math.max(...figure.axes[last].ticks.map(({ text }) => text.length)); // for its labels
  const width = Math.max(room, LEFT + NARROWEST * last + right);
  const across = (axis) => LEFT + (last ? (axis / last) * (width - LEFT - right) : 0);
  // A title is placed above its axis, within the figure, in the first row where it overlaps no other.
  const ends = [];
  const titles = figure.axes.map(({ title }, axis) => {
    const wide = BOLD * title.length;
    const x = Math.max(Math.min(across(axis) - wide / 2, width - wide), 0);
    let row = ends.findIndex((end) => end <= x);
    if (row < 0) row = ends.push(0) - 1;
    ends[row] = x + wide + 8;
    return { title, x, row };
  });
  const top = LINE * ends.length + 12;
  const up = (place) => top + (1 - place) * HEIGHT;
  // The best is drawn on top.
  [...figure.lines].reverse().forEach(({ trial, colour, places }) => {
    const known = places.map((place, axis) => ({ place, axis })).filter(({ place }) => place !== null);
    const points = known.map(({ place, axis }) => `${across(axis).toFixed(1)},${up(place).toFixed(1)}`).join(" ");
    svgElement("polyline", { points, fill: "none", stroke: colour, "stroke-width": 1.8, "data-trial": trial, class: "trial" }, svg);
  });
  figure.axes.forEach(({ ticks }, axis) => {
    const x = across(axis);
    svgElement("line", { x1: x, x2: x, y1: up(0), y2: up(1), stroke: "currentColor", "stroke-opacity": 0.6 }, svg);
    ticks.forEach(({ place, text }) => {
      const halo = { stroke: "#ffffff", "stroke-width": 4, "paint-order": "stroke", class: "halo" };
      svgElement("text", { x: x + 6, y: up(place) + 4, fill: "currentColor", "font-size": 12, ...halo }, svg, text);
    });
  });
  titles.forEach(({ title, x, row }) => {
    svgElement("text", { x, y: 12 + LINE * row, fill: "currentColor", "font-size": 12, "font-weight": 600 }, svg, title);
  });
  return [width, top + HEIGHT + 8];
}
