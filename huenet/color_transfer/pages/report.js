"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const { methods, photos, pairs } = data;
const at = (id) => document.getElementById(id);

/** An element with properties, attributes where their names have a dash or are "role", and children, texts among them. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

let method = 0;
let order = { key: "number", down: false };
let view = "drawn";
let listed = []; // the pairs in the table, in order
let looked = null;

const output = (pair) => pair.outputs[method];
const ratio = (pair) => (pair.hue && pair.emd > 0 ? output(pair).emd / pair.emd : null);
const worse = (pair) => pair.hue && output(pair).emd > pair.emd;
const said = (number, digits = 3) => (number === null ? "\u2013" : number.toFixed(digits));

const COLUMNS = [
  { key: "number", title: "No.", value: (pair) => pair.number },
  { key: "source", title: "source", value: (pair) => photos[pair.source].name },
  { key: "target", title: "target", value: (pair) => photos[pair.target].name },
  { key: "output", title: "output", fixed: true },
  { key: "joint", title: "joint histogram", fixed: true },
  { key: "before", title: "EMD before", value: (pair) => pair.emd, digits: 3 },
  { key: "after", title: "EMD after", value: (pair) => output(pair).emd, digits: 3 },
  { key: "ratio", title: "ratio", value: ratio, digits: 2 },
  { key: "mi_before", title: "MI source, target", value: (pair) => pair.mi, digits: 3 },
  { key: "mi", title: "MI source, output", value: (pair) => output(pair).mi, digits: 3 },
];
const VIEWS = {
  drawn: { key: "number", down: false },
  worst: { key: "ratio", down: true },
  best: { key: "ratio", down: false },
  worse: { key: "ratio", down: true, only: worse },
};

/* Drawing */

const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** A canvas's context, with as many pixels as the screen has; null where it is not laid out. */
function context(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (!width || !height) return null;
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext("2d");
}

function drawHistogram(canvas, shares, top) {
  const pen = context(canvas);
  if (!pen) return;
  const { width, height } = canvas;
  const strip = Math.max(2, Math.round(height * 0.07));
  const room = height - 2 * strip;
  shares.forEach((share, bin) => {
    const left = Math.round((bin * width) / shares.length);
    const right = Math.round(((bin + 1) * width) / shares.length);
    pen.fillStyle = `hsl(${((bin + 0.5) * 360) / shares.length} 85% 50%)`;
    const bar = Math.round((room * share) / top);
    pen.fillRect(left, room - bar, right - left, bar);
    pen.fillRect(left, height - strip, right - left, strip);
  });
}

/** Cells in the output's hue, the darker (on a dark page the lighter) the more they hold. */
function drawJoint(canvas, text) {
  const pen = context(canvas);
  if (!pen) return;
  const shades = atob(text);
  const bins = data.joint_bins;
  const { width, height } = canvas;
  for (let row = 0; row < bins; row += 1) {
    const bottom = Math.round(height - (row * height) / bins);
    const top = Math.round(height - ((row + 1) * height) / bins);
    pen.fillStyle = `hsl(${((row + 0.5) * 360) / bins} 85% ${dark.matches ? 62 : 45}%)`;
    for (let column = 0; column < bins; column += 1) {
      const shade = shades.charCodeAt(row * bins + column);
      if (!shade) continue;
      const left = Math.round((column * width) / bins);
      pen.globalAlpha = 0.12 + (0.88 * shade) / 255;
      pen.fillRect(left, top, Math.round(((column + 1) * width) / bins) - left, bottom - top);
    }
  }
}

const highest = (pair) => Math.max(...photos[pair.source].hues, ...photos[pair.target].hues, ...output(pair).hues, 1);

/** The three most frequent colours in words, for who cannot see the drawing. */
function inWords(shares) {
  const names = ["red", "orange", "yellow", "green", "green", "turquoise", "cyan", "blue", "blue", "violet", "magenta", "pink"];
  const held = new Map();
  shares.forEach((share, bin) => {
    const name = names[Math.round((bin * 12) / shares.length) % 12];
    held.set(name, (held.get(name) || 0) + share / 100);
  });
  const most = [...held].sort((a, b) => b[1] - a[1]).slice(0, 3).filter(([, share]) => share >= 1);
  return most.map(([name, share]) => `${name} ${Math.round(share)} %`).join(", ");
}

/** What waits for being seen to be drawn: thousands of canvases are too many at once. */
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) drawRow(entry.target);
  }
}, { rootMargin: "400px" });

/* Table */

const picture = (src, alt) => make("img", { src, alt, loading: "lazy", decoding: "async" });

function row(pair) {
  const cell = (kind, ...children) => make("td", { role: "cell", className: kind }, ...children);
  const labelled = (label, ...children) => make("td", { role: "cell", className: "picture", "data-label": label }, ...children);
  const hist = () => make("canvas", { className: "histogram", role: "img" });
  const photo = (role) => {
    const { src, name } = photos[pair[role]];
    return labelled(role, picture(src, role), hist(), make("span", { className: "name", title: name, dir: "auto" }, name));
  };
  const open = make("button", { type: "button", "aria-label": `Compare pair ${pair.number}` }, String(pair.number));
  const made = labelled("output", picture(output(pair).src, "output"), hist(), make("span", { className: "name" }, methods[method].title));
  const joint = cell("joint", make("canvas", { className: "joint", role: "img", "aria-label": "joint histogram of source and output" }));
  const numbers = COLUMNS.filter((column) => column.digits).map((column) =>
    make("td", { role: "cell", className: "number", "data-label": column.title, "data-key": column.key }));
  const element = make("tr", { role: "row", id: `row-${pair.number}` }, cell("open", open), photo("source"), photo("target"), made, joint, ...numbers);
  element.pair = pair;
  element.addEventListener("click", () => look(pair));
  fill(element);
  return element;
}

/** What depends on the method. */
function fill(element) {
  const { pair } = element;
  const made = element.querySelectorAll("td.picture")[2];
  made.querySelector("img").src = output(pair).src;
  made.querySelector(".name").textContent = methods[method].title;
  for (const cell of element.querySelectorAll("td.number")) {
    const column = COLUMNS.find(({ key }) => key === cell.dataset.key);
    cell.textContent = said(column.value(pair), column.digits);
    if (column.key === "ratio") {
      cell.className = `number ${worse(pair) ? "is-worse" : pair.hue ? "is-better" : ""}`;
      cell.title = pair.hue ? (worse(pair) ? "made worse" : "") : "a picture has no hue";
      if (worse(pair)) cell.append(make("span", { className: "unseen" }, " made worse"));
    }
  }
}

function drawRow(element) {
  const { pair } = element;
  const shares = [photos[pair.source].hues, photos[pair.target].hues, output(pair).hues];
  const top = highest(pair);
  element.querySelectorAll("canvas.histogram").forEach((canvas, index) => {
    drawHistogram(canvas, shares[index], top);
    canvas.setAttribute("aria-label", `hue histogram: ${inWords(shares[index])}`);
  });
  drawJoint(element.querySelector("canvas.joint"), output(pair).joint);
}

const rows = pairs.map(row);

function list() {
  const column = COLUMNS.find(({ key }) => key === order.key);
  const kept = rows.filter((element) => view !== "worse" || worse(element.pair));
  const compare = (a, b) => {
    const [x, y] = [column.value(a.pair), column.value(b.pair)];
    if (x === null || y === null) return (x === null) - (y === null); // what cannot be told comes last
    const way = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    return (order.down ? -way : way) || a.pair.number - b.pair.number;
  };
  kept.sort(compare);
  listed = kept.map((element) => element.pair);
  at("rows").replaceChildren(...kept);
  at("none").hidden = kept.length > 0;
  seen.disconnect();
  kept.forEach((element) => seen.observe(element));
  for (const head of at("heads").children) {
    if (head.dataset.key === order.key) head.setAttribute("aria-sort", order.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  const name = `${order.key} ${order.down ? "down" : "up"}`;
  at("sort").value = name;
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
  }
  at("count").textContent = view === "worse" ? `${kept.length} shown, made worse by ${methods[method].title}.` : "";
  document.querySelector('[data-view="worse"]').textContent = `Made worse (${pairs.filter(worse).length})`;
}

function sortBy(key, down) {
  order = { key, down };
  if (view !== "worse") view = Object.keys(VIEWS).find((name) => VIEWS[name].key === key && VIEWS[name].down === down) || "";
  list();
}

for (const column of COLUMNS) {
  const number = column.digits ? "number" : "";
  const head = make("th", { role: "columnheader", scope: "col", className: number, "data-key": column.key });
  if (column.fixed) head.append(make("span", {}, column.title));
  else {
    const button = make("button", { type: "button" }, column.title);
    button.addEventListener("click", () => sortBy(column.key, order.key === column.key && !order.down));
    head.append(button);
    for (const [way, arrow] of [["up", "\u2191"], ["down", "\u2193"]]) {
      at("sort").append(make("option", { value: `${column.key} ${way}` }, `${column.title} ${arrow}`));
    }
  }
  at("heads").append(head);
}
at("sort").addEventListener("change", () => {
  const [key, way] = at("sort").value.split(" ");
  sortBy(key, way === "down");
});
for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => {
    view = button.dataset.view;
    order = { key: VIEWS[view].key, down: VIEWS[view].down };
    list();
  });
}

methods.forEach(({ title }, index) => at("method").append(make("option", { value: String(index) }, title)));
at("method").addEventListener("change", () => choose(Number(at("method").value)));

function choose(index) {
  method = index;
  at("method").value = String(index);
  rows.forEach(fill);
  scatter();
  list();
  if (looked) show(looked);
}

/* All pairs at a glance */

function scatter() {
  const svg = at("scatter");
  const part = (tag, attributes, ...children) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const told = pairs.filter((pair) => pair.hue);
  const most = Math.max(0.1, ...told.map((pair) => Math.max(pair.emd, output(pair).emd)));
  const end = Math.ceil(most * 10) / 10;
  const x = (value) => 30 + (value / end) * 220;
  const y = (value) => 190 - (value / end) * 180;
  svg.replaceChildren(
    part("line", { x1: x(0), y1: y(0), x2: x(end), y2: y(0) }),
    part("line", { x1: x(0), y1: y(0), x2: x(0), y2: y(end) }),
    part("line", { x1: x(0), y1: y(0), x2: x(end), y2: y(end), class: "same" }),
    part("text", { x: x(end), y: 215, "text-anchor": "end" }, "EMD before"),
    part("text", { x: x(end), y: 203, "text-anchor": "end" }, end.toFixed(1)),
    part("text", { x: x(0), y: 203 }, "0"),
    part("text", { x: 26, y: y(end) + 8, "text-anchor": "end" }, end.toFixed(1)),
    part("text", { x: x(0) + 6, y: y(end) + 8 }, "EMD after"),
  );
  for (const pair of told) {
    const dot = part("circle", { cx: x(pair.emd), cy: y(output(pair).emd), r: 3.5, class: worse(pair) ? "worse" : "" },
      part("title", {}, `pair ${pair.number}: ${said(pair.emd)} to ${said(output(pair).emd)}`));
    dot.addEventListener("click", () => look(pair));
    svg.append(dot);
  }
}

/* One pair */

function show(pair) {
  looked = pair;
  const [source, target] = [photos[pair.source], photos[pair.target]];
  const place = listed.indexOf(pair);
  at("look-title").replaceChildren(`Pair ${pair.number}`, make("small", {}, `${source.name} like ${target.name}`));
  at("before").disabled = place <= 0;
  at("next").disabled = place < 0 || place === listed.length - 1;
  Object.assign(at("under"), { src: source.src, alt: `source ${source.name}` });
  Object.assign(at("over"), { src: output(pair).src, alt: `output of ${methods[method].title}` });
  Object.assign(at("target"), { src: target.src, alt: `target ${target.name}` });
  at("tag").textContent = methods[method].title;
  at("others").replaceChildren(...methods.map(({ title }, index) => {
    const button = make("button", { type: "button", "aria-pressed": String(index === method) },
      make("img", { src: pair.outputs[index].src, alt: "" }), make("span", {}, title));
    button.addEventListener("click", () => {
      choose(index);
      at("others").children[index].focus();
    });
    return button;
  }));
  at("numbers").replaceChildren(...COLUMNS.filter((column) => column.digits).map((column) =>
    make("div", {}, make("dt", {}, column.title), make("dd", {
      className: column.key === "ratio" && worse(pair) ? "is-worse" : "" }, said(column.value(pair), column.digits)))));
  const top = highest(pair);
  const drawn = [["source", source.hues], ["target", target.hues], ["output", output(pair).hues]].map(([role, shares]) => {
    const canvas = make("canvas", { className: "histogram", role: "img", "aria-label": `hue histogram of the ${role}: ${inWords(shares)}` });
    return { canvas, shares, figure: make("figure", {}, canvas, make("figcaption", { className: "quiet" }, role)) };
  });
  at("histograms").replaceChildren(...drawn.map(({ figure }) => figure));
  if (!at("look").open) at("look").showModal();
  drawn.forEach(({ canvas, shares }) => drawHistogram(canvas, shares, top));
  at("joint").setAttribute("aria-label", `joint histogram of source and output, MI ${said(output(pair).mi)}`);
  drawJoint(at("joint"), output(pair).joint);
  history.replaceState(null, "", `#pair-${pair.number}`);
}

function look(pair) {
  slide(50);
  show(pair);
  at("slider").focus();
}

function step(by) {
  const pair = listed[listed.indexOf(looked) + by];
  if (pair && listed.includes(looked)) show(pair);
}

function slide(percent) {
  at("slider").value = String(percent);
  at("compare").style.setProperty("--at", `${percent}%`);
}

at("slider").addEventListener("input", () => slide(Number(at("slider").value)));
at("before").addEventListener("click", () => step(-1));
at("next").addEventListener("click", () => step(1));
at("close").addEventListener("click", () => at("look").close());
at("look").addEventListener("click", (event) => {
  if (event.target === at("look")) at("look").close(); // the backdrop
});
at("look").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "n") step(1);
  if (event.key === "p") step(-1);
});
at("look").addEventListener("close", () => {
  const row = looked && at(`row-${looked.number}`);
  looked = null;
  history.replaceState(null, "", location.pathname + location.search);
  if (row) {
    row.scrollIntoView({ block: "nearest" });
    row.querySelector("button").focus();
  }
});
function drawAgain() {
  seen.disconnect();
  rows.filter((element) => element.isConnected).forEach((element) => seen.observe(element));
  if (looked) show(looked);
}
window.addEventListener("resize", drawAgain);
dark.addEventListener("change", drawAgain);

scatter();
list();
const named = pairs.find((pair) => location.hash === `#pair-${pair.number}`);
if (named) look(named);
