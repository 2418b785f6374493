"use strict";
// What is shown of the parts that differ by what rates count.
function startCounts() {
  const count = document.getElementById("count");
  const show = () => document.querySelectorAll("[data-count]").forEach((part) => {
    part.hidden = part.dataset.count !== count.value;
  });
  count.addEventListener("change", show);
  show();
}
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  startCounts();
  startChart(data);
  startFaces(data.galleries);
})();
