"use strict";
// The sweep's page. All elements of a trial carry data-trial: pointing at one highlights the others.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const view = startView();
  document.querySelectorAll("[data-view]").forEach(view.bind);
  document.querySelectorAll("[data-chart]").forEach((part) => startChart(part, data.charts[part.dataset.chart], view));
  document.querySelectorAll("[data-figure]").forEach((part) => startFigure(part, data.figures[part.dataset.figure], drawParallel));
  startTables(data.tables, view);
  document.querySelectorAll('[data-table="trials"] tbody tr').forEach((row) => {
    row.dataset.trial = row.cells[0].textContent.trim();
  });

  function trialOf(part) {
    const line = part.closest('[data-chart="learning"] [data-curve]');
    return line ? data.charts.learning.curves[line.dataset.curve].name : (part.closest("[data-trial]") || { dataset: {} }).dataset.trial;
  }

  document.addEventListener("pointerover", (event) => {
    const trial = trialOf(event.target);
    document.body.classList.toggle("found", trial !== undefined);
    document.querySelectorAll("[data-trial]").forEach((part) => part.classList.toggle("here", part.dataset.trial === trial));
    document.querySelectorAll('[data-chart="learning"] [data-curve]').forEach((part) => part.classList.toggle("here", trialOf(part) === trial));
  });
})();
