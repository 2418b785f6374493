"use strict";
// Shows the parts of the page for the selected way of counting bytes.
function startCounts() {
  const count = document.getElementById("count");
  if (!count) return;
  const show = () => document.querySelectorAll("[data-count]").forEach((part) => {
    part.hidden = part.dataset.count !== count.value;
  });
  count.addEventListener("input", show);
  show();
}
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const view = startView();
  document.querySelectorAll("[data-view]").forEach(view.bind);
  startCounts();
  document.querySelectorAll("[data-chart]").forEach((part) => startChart(part, data.charts[part.dataset.chart], view));
  document.querySelectorAll("[data-figure]").forEach((part) => startFigure(part, data.figures[part.dataset.figure], drawBars));
  startTables(data.tables, view);
  if (data.faces) startFaces(data.faces, view);
})();
