"use strict";
// Functions shared by all figures: SVG elements, redrawing when the width changes, and saving for papers.
const PAPER = { width: 760, ink: "#1a1a1a", scale: 3 };
const CHARACTER = 7; // average width in pixels, on the high side

function svgElement(name, attributes, parent, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

// Names in rows that fit between `left` and `width`: [[{name, x, …}]], with `room` beside each name.
function inRows(items, left, width, room) {
  const rows = [[]];
  let x = left;
  items.forEach((item) => {
    const needed = room + CHARACTER * item.name.length;
    if (x + needed > width && rows.at(-1).length) {
      rows.push([]);
      x = left;
    }
    rows.at(-1).push({ ...item, x });
    x += needed;
  });
  return rows;
}

// Calls `draw(width)` now and whenever the width of the holder changes.
function drawAtWidth(holder, draw) {
  let drawn = 0;
  new ResizeObserver(() => {
    if (holder.clientWidth === drawn) return;
    drawn = holder.clientWidth;
    draw(drawn);
  }).observe(holder);
}

// Fills `parent` with the SVG drawn by `draw(svg, width)`, which returns [width, height].
function drawInto(parent, draw, width, attributes) {
  const svg = svgElement("svg", attributes, parent);
  const [wide, high] = draw(svg, width);
  Object.entries({ width: wide, height: high, viewBox: `0 0 ${wide} ${high}` }).forEach(([key, value]) => svg.setAttribute(key, value));
  return svg;
}

// Saves the drawing of `draw(svg, width)` as "svg" or "png", on white and in a size for papers.
function saveFigure(stem, kind, draw) {
  const look = { xmlns: "http://www.w3.org/2000/svg", color: PAPER.ink, "font-family": "Helvetica, Arial, sans-serif" };
  const svg = drawInto(document.createElement("div"), draw, PAPER.width, look);
  const [width, height] = ["width", "height"].map((side) => Number(svg.getAttribute(side)));
  svg.prepend(svgElement("rect", { width, height, fill: "#ffffff" }, svg));
  const text = new XMLSerializer().serializeToString(svg);
  if (kind === "svg") saveText(`${stem}.svg`, text, "image/svg+xml");
  else savePng(`${stem}.png`, text, width, height, PAPER.scale);
}

// A figure without controls, figure = {name, pgfplots, …}; `draw(figure, svg, width)` draws it.
function startFigure(part, figure, draw) {
  const holder = part.querySelector("figure");
  const drawn = (svg, width) => draw(figure, svg, width);
  drawAtWidth(holder, (width) => {
    holder.replaceChildren();
    drawInto(holder, drawn, width, { role: "img", "aria-label": figure.title });
  });
  part.querySelectorAll("[data-save]").forEach((button) => button.addEventListener("click", () => {
    const kind = button.dataset.save;
    if (kind === "tex") saveText(`${figure.name}.tex`, figure.pgfplots, "text/plain");
    else saveFigure(figure.name, kind, drawn);
  }));
}
