// Values under the pointer, enlarged charts and pictures, sorted tables, highlighted lines.
// The page shows everything without this script; it requests nothing.
"use strict";
(() => {
const SVG = "http://www.w3.org/2000/svg";
const make = (tag, name, text) => {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
};
const tip = make("div", "tip");
tip.setAttribute("role", "status");
tip.hidden = true;
document.body.append(tip);

// Values of a chart under the pointer.
const charts = new Map();
function read(svg) {
  if (!charts.has(svg)) {
    const chart = JSON.parse(svg.dataset.chart);
    const at = ([start, length, log], value) => start + length * (log ? Math.log10(value) : value);
    chart.points = chart.lines.flatMap((line, number) => line.x.map((x, i) => (
      {line, number, i, x, y: line.y[i], left: at(chart.x, x), top: at(chart.y, line.y[i])})));
    charts.set(svg, chart);
  }
  return charts.get(svg);
}
function number(value, unit) {
  const size = Math.abs(value);
  const text = size >= 9999.5 ? Math.round(value).toLocaleString("en")
    : size && size < 1e-4 ? value.toPrecision(3) : String(+value.toPrecision(4));
  return text + unit;
}
const unit = name => name.endsWith(", %") ? " %" : "";
let shown = null;
function hide() {
  tip.hidden = true;
  shown?.querySelector(".spot")?.remove();
  shown = null;
}
function show(svg, best) {
  const chart = read(svg), box = svg.viewBox.baseVal;
  hide();
  shown = svg;
  const same = chart.points.filter(p => p !== best && Math.abs(p.left - best.left) < .5 &&
    p.number !== best.number && !faded(svg, p.number));
  same.sort((a, b) => Math.abs(a.top - best.top) - Math.abs(b.top - best.top));
  const rows = [best, ...same.slice(0, 7)].sort((a, b) => a.top - b.top);
  const spot = document.createElementNS(SVG, "g");
  spot.setAttribute("class", "spot");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", `M${best.left} ${chart.top}V${chart.bottom}`);
  spot.append(line);
  for (const point of rows) {
    const circle = document.createElementNS(SVG, "circle");
    circle.setAttribute("cx", point.left);
    circle.setAttribute("cy", point.top);
    circle.setAttribute("r", point === best ? 5.5 : 4);
    circle.style.fill = `var(--${point.line.color ? "c" + point.line.color : "muted"})`;
    spot.append(circle);
  }
  svg.append(spot);
  tip.replaceChildren(make("div", "where", `${chart.across.replace(/, %$/, "")} ${number(best.x, unit(chart.across))}`));
  for (const point of rows) {
    const row = make("div", point === best ? "best" : "");
    const mark = make("i");
    mark.style.background = `var(--${point.line.color ? "c" + point.line.color : "muted"})`;
    const {low, high} = point.line;
    // Of one line, so that the box stays narrow.
    const band = low && point === best ? ` (${number(low[point.i], "")} to ${number(high[point.i], "")})` : "";
    row.append(mark, make("span", "", point.line.name || chart.up.replace(/, %$/, "")),
      make("b", "", number(point.y, unit(chart.up)) + band));
    tip.append(row);
  }
  if (same.length > 7) tip.append(make("div", "where", `and ${same.length - 7} more`));
  (svg.closest("dialog") || document.body).append(tip);
  tip.hidden = false;
  const frame = svg.getBoundingClientRect(), scale = frame.width / box.width;
  const x = frame.left + best.left * scale, y = frame.top + best.top * scale;
  const width = tip.offsetWidth, height = tip.offsetHeight, right = document.documentElement.clientWidth;
  const beside = x + 14 + width < right ? x + 14 : x - 14 - width;
  tip.style.left = Math.max(4, Math.min(beside, right - width - 4)) + "px";
  tip.style.top = Math.max(4, Math.min(y - height - 12, innerHeight - height - 4)) + "px";
}
function nearest(svg, event) {
  const frame = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / frame.width;
  const x = (event.clientX - frame.left) * scale, y = (event.clientY - frame.top) * scale;
  let best = null, least = Infinity;
  for (const point of read(svg).points) {
    // What is above or below counts less, so that a pointer beside a curve still finds its points.
    const far = (point.left - x) ** 2 + (.4 * (point.top - y)) ** 2;
    if (far < least && !faded(svg, point.number)) [best, least] = [point, far];
  }
  return best;
}
for (const type of ["pointermove", "pointerdown"]) {
  document.addEventListener(type, event => {
    if (type === "pointermove" && event.pointerType !== "mouse") return;
    const svg = event.target.closest?.("svg[data-chart]");
    const best = svg && nearest(svg, event);
    if (best) show(svg, best);
    else if (shown) hide();
  });
}
addEventListener("scroll", hide, {passive: true});
document.addEventListener("keydown", event => {
  const svg = document.activeElement?.closest?.("svg[data-chart]");
  if (event.key === "Escape") hide();
  if (!svg || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  event.preventDefault();
  const points = read(svg).points.filter(p => !faded(svg, p.number)).sort((a, b) => a.left - b.left);
  const columns = points.filter((p, i) => !i || p.left - points[i - 1].left > .5);
  const old = columns.findIndex(p => svg.dataset.at !== undefined && Math.abs(p.left - svg.dataset.at) < .5);
  const step = event.key === "ArrowRight" ? 1 : -1;
  const next = columns[Math.max(0, Math.min(columns.length - 1, old < 0 ? 0 : old + step))];
  if (!next) return;
  svg.dataset.at = next.left;
  show(svg, next);
});
for (const svg of document.querySelectorAll("svg[data-chart]")) {
  svg.setAttribute("tabindex", "0");
  svg.removeAttribute("aria-hidden");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Chart; the left and right arrow keys read its values");
  svg.addEventListener("blur", hide);
}

// The line of one name stands out in all charts.
let chosen = null;
function faded(svg, number) {
  return chosen !== null && read(svg).lines.some(line => line.name === chosen) &&
    read(svg).lines[number].name !== chosen;
}
function highlight(name) {
  chosen = name;
  for (const svg of document.querySelectorAll("svg[data-chart]")) {
    for (const part of svg.querySelectorAll("[data-line]")) {
      part.classList.toggle("faded", faded(svg, +part.dataset.line));
    }
  }
}
let kept = null;
for (const key of document.querySelectorAll(".legend [data-name]")) {
  const name = key.dataset.name;
  key.setAttribute("tabindex", "0");
  key.setAttribute("role", "button");
  key.setAttribute("aria-pressed", "false");
  const choose = () => {
    kept = kept === name ? null : name;
    for (const other of document.querySelectorAll(".legend [data-name]")) {
      other.setAttribute("aria-pressed", String(other.dataset.name === kept));
    }
    highlight(kept);
  };
  key.addEventListener("pointerenter", event => { if (event.pointerType === "mouse") highlight(name); });
  key.addEventListener("pointerleave", () => highlight(kept));
  key.addEventListener("click", choose);
  key.addEventListener("keydown", event => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(); }
  });
}

// Enlarged charts and pictures.
const dialog = make("dialog", "large");
const close = make("button", "close", "×");
close.setAttribute("aria-label", "Close");
const stage = make("div", "stage");
dialog.append(close, stage);
document.body.append(dialog);
let place = null;
function open(content) {
  hide();
  stage.replaceChildren(content);
  dialog.showModal();
}
dialog.addEventListener("close", () => {
  hide();
  document.body.append(tip);
  if (place) place.replaceWith(stage.firstElementChild);
  place = null;
  stage.replaceChildren();
});
close.addEventListener("click", () => dialog.close());
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
function enlarge(chart) {
  if (dialog.open) return;
  place = make("div");
  place.style.height = chart.offsetHeight + "px";
  chart.replaceWith(place);
  open(chart);
}
for (const chart of document.querySelectorAll("figure.chart")) {
  if (!chart.querySelector("svg[data-chart]")) continue;
  const button = make("button", "enlarge", "⤢");
  button.setAttribute("aria-label", "Enlarge the chart");
  button.title = "Enlarge";
  button.addEventListener("click", () => enlarge(chart));
  const head = chart.querySelector(".chart-head");
  if (head) head.append(button);
  else { button.classList.add("alone"); chart.append(button); }
  chart.addEventListener("click", event => {
    // A finger reads values; only a mouse, which reads them without a click, enlarges.
    if (event.target.closest("svg[data-chart]") && event.pointerType === "mouse") enlarge(chart);
  });
}
function enlargeImage(image) {
  const figure = make("figure");
  const large = make("img");
  large.src = image.src;
  large.alt = image.alt;
  const {naturalWidth: width, naturalHeight: height} = image;
  const most = Math.min(innerWidth * .9 / width, innerHeight * .72 / height);
  // Small pictures by whole factors, so that all their pixels are squares of one size.
  const factor = Math.max(width, height) <= 128 ? Math.max(1, Math.floor(most)) : Math.min(most, 3);
  large.style.width = width * factor + "px";
  large.style.imageRendering = Math.max(width, height) <= 128 ? "pixelated" : "auto";
  const words = image.alt || image.closest("[aria-label]")?.getAttribute("aria-label") || "";
  const boxes = image.closest(".boxed")?.querySelector("svg");
  const shown = boxes ? make("div", "boxed") : large;
  if (boxes) shown.append(large, boxes.cloneNode(true));
  figure.append(shown, make("figcaption", "", words));
  open(figure);
}
const KEYED = ".photo, .canvas, .matrix-picture, .looks img, .seen img, .input";
for (const image of document.querySelectorAll("main img")) {
  image.addEventListener("click", () => enlargeImage(image));
  image.classList.add("can-grow");
  if (!image.matches(KEYED)) continue;
  image.setAttribute("tabindex", "0");
  image.setAttribute("role", "button");
  image.addEventListener("keydown", event => { if (event.key === "Enter") enlargeImage(image); });
}

// Sorted tables: a click on a heading, and another one for the other direction.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.hasAttribute("aria-sort")) return;
    const button = make("button", "sort");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach(other => { if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map(row => [row, row.cells[column].dataset.value]);
      const numeric = rows.every(([, value]) => value === "" || !isNaN(value));
      const order = (a, b) => numeric ? a - b : a.localeCompare(b, "en", {numeric: true});
      rows.sort(([, a], [, b]) => {
        // Rows without a value come last in both directions.
        if (a === "" || b === "") return (a === "") - (b === "");
        return down ? order(b, a) : order(a, b);
      });
      table.tBodies[0].append(...rows.map(([row]) => row));
    });
  });
}
})();
