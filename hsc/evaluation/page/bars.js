"use strict";
// Bars of bytes, one piece per layer: figure = {layers: [{name, colour}], rows: [{name, bytes: [one per layer]}]}.
function drawBars(figure, svg, width) {
  const BAR = { height: 18, step: 26 };
  const text = { fill: "currentColor", "font-size": 12 };
  const number = (bytes) => bytes.toFixed(1);
  const total = (row) => row.bytes.reduce((sum, bytes) => sum + bytes, 0);
  const left = 12 + CHARACTER * Math.max(...figure.rows.map((row) => row.name.length));
  const most = Math.max(...figure.rows.map(total));
  const scale = (width - left - 12 - CHARACTER * number(most).length) / most;
  const legend = inRows(figure.layers, left, width, 36);
  legend.forEach((row, line) => row.forEach(({ name, colour, x }) => {
    svgElement("rect", { x, y: 2 + 20 * line, width: 12, height: 12, rx: 3, fill: colour }, svg);
    svgElement("text", { x: x + 18, y: 12 + 20 * line, ...text }, svg, name);
  }));
  figure.rows.forEach((row, place) => {
    const y = 20 * legend.length + 8 + BAR.step * place;
    svgElement("text", { x: left - 12, y: y + 13, "text-anchor": "end", ...text }, svg, row.name);
    let x = left;
    row.bytes.forEach((bytes, layer) => {
      const { name, colour } = figure.layers[layer];
      const piece = svgElement("rect", { x, y, width: Math.max(bytes * scale - 1, 0), height: BAR.height, fill: colour, class: "layer" }, svg);
      svgElement("title", {}, piece, `${name}: ${number(bytes)} bytes`);
      x += bytes * scale;
    });
    svgElement("text", { x: x + 6, y: y + 13, ...text }, svg, number(total(row)));
  });
  return [width, 20 * legend.length + 8 + BAR.step * figure.rows.length];
}
