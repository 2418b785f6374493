"use strict";
// Everything about a trial carries data-trial: pointing at one part of it shows the others.
(() => {
  const metric = document.getElementById("metric");
  const figures = [...document.querySelectorAll("figure[data-metric]")];
  const parts = [...document.querySelectorAll("[data-trial]")];

  function showMetric() {
    figures.forEach((figure) => figure.classList.toggle("off", figure.dataset.metric !== metric.value));
  }

  function find(trial) {
    document.body.classList.toggle("found", trial !== null);
    parts.forEach((part) => part.classList.toggle("here", part.dataset.trial === trial));
  }

  parts.forEach((part) => {
    part.addEventListener("pointerenter", () => find(part.dataset.trial));
    part.addEventListener("pointerleave", () => find(null));
  });
  metric.addEventListener("change", showMetric);
  showMetric();
})();
