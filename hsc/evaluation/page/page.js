"use strict";
// data: {curves: [name], metrics: [{points: {curve: [text of each marker]}}]}, curves and metrics in the order of the page.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const figures = [...document.querySelectorAll("figure[data-metric]")];
  const metric = document.getElementById("metric");
  const tip = document.getElementById("tip");
  const partsOf = (curve) => document.querySelectorAll(`[data-curve="${curve}"]`);

  function showMetric() {
    figures.forEach((figure) => figure.classList.toggle("off", figure.dataset.metric !== metric.value));
    hideTip();
  }

  function showCurve(box) {
    partsOf(box.value).forEach((part) => part.classList.toggle("off", !box.checked));
  }

  function moveTip(event) {
    const margin = 14;
    const x = Math.min(event.clientX + margin, window.innerWidth - tip.offsetWidth - margin);
    const y = event.clientY + margin + tip.offsetHeight > window.innerHeight
      ? event.clientY - margin - tip.offsetHeight : event.clientY + margin;
    tip.style.left = `${Math.max(margin, x)}px`;
    tip.style.top = `${y}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  function addTips(figure) {
    const points = data.metrics[Number(figure.dataset.metric)].points;
    figure.querySelectorAll('[data-part="curve"]').forEach((curve) => {
      const texts = points[curve.dataset.curve];
      curve.querySelectorAll("use").forEach((marker, place) => {
        marker.addEventListener("pointerenter", (event) => {
          tip.textContent = `${data.curves[Number(curve.dataset.curve)]}\n${texts[place]}`;
          tip.hidden = false;
          moveTip(event);
        });
        marker.addEventListener("pointermove", moveTip);
        marker.addEventListener("pointerleave", hideTip);
      });
    });
  }

  figures.forEach(addTips);
  metric.addEventListener("change", showMetric);
  document.querySelectorAll("fieldset input").forEach((box) => box.addEventListener("change", () => showCurve(box)));
  showMetric();
})();
