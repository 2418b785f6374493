"use strict";
// Tables that can be sorted by clicking a column's title, best values first, and saved as CSV or LaTeX.
// tables = {key: {name, csv, tex}}.
function startTables(tables, view) {
  document.querySelectorAll(".sortable").forEach((part) => {
    const key = part.dataset.table;
    const body = part.querySelector("tbody");
    const given = [...body.rows];
    const titles = [...part.querySelectorAll("thead button")];
    let sorted = null; // {column, up}

    function value(row, column) {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    }

    function compared(one, other, { column, up }) {
      const [a, b] = [value(one, column), value(other, column)];
      const sign = up ? 1 : -1;
      if (a !== null && b !== null) return sign * (a - b);
      if (a !== null || b !== null) return a === null ? 1 : -1; // rows without a value come last
      const [x, y] = [one, other].map((row) => row.cells[column].textContent.trim());
      if (Number(x === "" || x === "–") !== Number(y === "" || y === "–")) return x === "" || x === "–" ? 1 : -1;
      return sign * x.localeCompare(y, undefined, { numeric: true });
    }

    function show() {
      const rows = sorted ? [...given].sort((one, other) => compared(one, other, sorted)) : given;
      body.append(...rows);
      titles.forEach((title, column) => {
        const own = sorted && sorted.column === column;
        title.parentElement.setAttribute("aria-sort", own ? (sorted.up ? "ascending" : "descending") : "none");
      });
    }

    // The first click sorts best first, the second worst first, the third restores the original order.
    function press(column) {
      const first = titles[column].dataset.higher !== "true";
      if (!sorted || sorted.column !== column) sorted = { column, up: first };
      else sorted = sorted.up === first ? { column, up: !first } : null;
      view.keep(`sort.${key}`, sorted ? `${column}${sorted.up ? "up" : "down"}` : "", "");
      show();
    }

    const wanted = /^(\d+)(up|down)$/.exec(view.get(`sort.${key}`) || "");
    if (wanted && Number(wanted[1]) < titles.length) sorted = { column: Number(wanted[1]), up: wanted[2] === "up" };
    titles.forEach((title, column) => title.addEventListener("click", () => press(column)));
    part.querySelectorAll("[data-save]").forEach((button) => button.addEventListener("click", () => {
      const kind = button.dataset.save;
      saveText(`${tables[key].name}.${kind}`, tables[key][kind], kind === "csv" ? "text/csv" : "text/plain");
    }));
    show();
  });
}
