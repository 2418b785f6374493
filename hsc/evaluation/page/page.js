"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  startChart(data);
  startFaces(data.galleries);
})();
