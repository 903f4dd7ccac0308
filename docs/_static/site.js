// Tables sort by a click on the head of a column; figures enlarge by a click on them.
"use strict";

// Missing values last, whichever way; numbers by value, words by alphabet.
function compare(a, b) {
  const [x, y] = [Number(a), Number(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b) : x - y;
}

function sort(head) {
  const table = head.closest("table");
  const sign = head.ariaSort === "ascending" ? -1 : 1;
  const text = (row) => row.cells[head.cellIndex].textContent.trim();
  const missing = (row) => ["", "–", "NaN"].includes(text(row));
  const rows = [...table.tBodies[0].rows].sort(
    (a, b) => missing(a) - missing(b) || sign * compare(text(a), text(b)),
  );
  table.tBodies[0].append(...rows);
  for (const other of table.tHead.querySelectorAll("th")) other.ariaSort = null;
  head.ariaSort = sign === 1 ? "ascending" : "descending";
}

function enlarge(image, viewer) {
  const large = document.createElement("img");
  [large.src, large.alt] = [image.src, image.alt];
  viewer.replaceChildren(large);
  viewer.showModal();
}

// By the keyboard as by the mouse.
function act(element, action) {
  element.tabIndex = 0;
  element.addEventListener("click", action);
  element.addEventListener("keydown", (event) => event.key === "Enter" && action());
}

// A link may lead into a folded group.
function unfold() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let at = target.parentElement; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  target.scrollIntoView();
}

document.addEventListener("DOMContentLoaded", () => {
  const viewer = document.body.appendChild(document.createElement("dialog"));
  viewer.addEventListener("click", () => viewer.close());
  for (const head of document.querySelectorAll("article thead th")) act(head, () => sort(head));
  for (const image of document.querySelectorAll("article img:not(.card img)"))
    act(image, () => enlarge(image, viewer));
  addEventListener("hashchange", unfold);
  unfold();
});
