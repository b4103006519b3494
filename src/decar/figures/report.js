"use strict";
// Search, filter and sort the table of molecules. Without scripts the page shows everything.
(() => {
  const table = document.getElementById("molecule-table");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const search = document.getElementById("search");
  const label = document.getElementById("class");
  const status = document.getElementById("status");
  const shown = document.getElementById("shown");

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.text.includes(word)) &&
        (!label.value || row.dataset.class === label.value) && (!status.value || row.dataset.status === status.value);
      row.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = `${count} of ${rows.length} rows`;
  }

  function value(row, column, kind) {
    const cell = row.cells[column];
    return kind === "number" ? (cell.dataset.value ? Number(cell.dataset.value) : NaN) : cell.textContent.trim();
  }

  function sort(heading) {
    const column = heading.cellIndex;
    const kind = heading.dataset.sort;
    const direction = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    rows.sort((a, b) => {
      const x = value(a, column, kind);
      const y = value(b, column, kind);
      if (kind === "text") return direction * x.localeCompare(y);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y); // missing values last
      return direction * (x - y);
    });
    body.append(...rows);
  }

  for (const control of [search, label, status]) control.addEventListener("input", filter);
  for (const heading of table.tHead.querySelectorAll("th[data-sort]")) {
    heading.tabIndex = 0;
    heading.addEventListener("click", () => sort(heading));
    heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(heading); });
  }
  filter();
})();
