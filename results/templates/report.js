"use strict";
// Column heads become buttons that sort their table: up, down, and back to the order of the page.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], rows = Array.from(body.rows), heads = Array.from(table.tHead.rows[0].cells);
  const value = (row, place) => {
    const cell = row.cells[place];
    if (!cell) return "";
    const text = cell.dataset.sort ?? cell.textContent.trim();
    const found = text.replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "").match(/^[^\d+-]{0,2}([+-]?\d*\.?\d+(e[+-]?\d+)?)/i);
    return found ? Number(found[1]) : text;
  };
  const order = (a, b) => {
    const numbers = [typeof a === "number", typeof b === "number"];
    if (numbers[0] && numbers[1]) return a - b;
    if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
    return a.localeCompare(b);
  };
  heads.forEach((head, place) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const next = now === "ascending" ? "descending" : now === "descending" ? null : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      const sorted = rows.slice();
      if (next) {
        head.setAttribute("aria-sort", next);
        const sign = next === "ascending" ? 1 : -1;
        const empty = (v) => typeof v === "string" && (v === "" || v === "\u2013");
        sorted.sort((a, b) => {
          const [x, y] = [value(a, place), value(b, place)];
          if (empty(x) || empty(y)) return empty(x) - empty(y);
          return sign * order(x, y);
        });
      }
      body.append(...sorted);
    });
  });
}
