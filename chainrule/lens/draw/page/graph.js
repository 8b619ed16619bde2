// The graph: boxes in rows, laid out by the browser, and the wires between whatever is unfolded.
const canvas = $("canvas"), pane = $("graph");
const shown = new Map();            // "op 3", "leaf 5", "box 2" -> element
const unfolded = new Set([0]);
let lanes = new Map();              // "box value" -> [[row, element]]
let zoom = 1;

const phone = matchMedia("(max-width: 52rem)");

const keyOf = (kind, id) => `${kind} ${id}`;

const drawGraph = () => {
  shown.clear();
  lanes = new Map();
  canvas.replaceChildren(boxElement(0), svg("svg", { id: "wires", "aria-hidden": "true" }));
  markAll();
  drawWires();
};

const boxElement = (id) => {
  const box = boxes[id], open = unfolded.has(id);
  const made = el("div", { class: `box${open ? " open" : ""}${id ? "" : " root"}`, role: "group", "aria-label": box.label });
  shown.set(keyOf("box", id), made);
  if (id) made.append(boxHead(box, open));
  if (open)
    made.append(...(box.rows || []).map((row, place) =>
      el("div", { class: "row" }, row.map((side) => el("div", {}, side.map(([kind, number]) => itemElement(id, place, kind, number)))))));
  return made;
};
const boxHead = (box, open) => {
  const result = box.makes && values[box.makes[box.makes.length - 1]];
  return el("div", { class: "head" },
    el("button", { class: "chevron", type: "button", "aria-expanded": String(open), "aria-label": `${box.label}: ${open ? "fold" : "unfold"}`,
      onclick: () => toggle(box.id) }, open ? "▾" : "▸"),
    el("button", { class: "card module", type: "button", "data-item": keyOf("box", box.id), title: `${box.path} · ${box.kind}`, onclick: () => choose("box", box.id),
      ondblclick: () => toggle(box.id) },
      el("span", { class: "title" }, el("b", {}, box.label), " ", el("small", {}, box.kind)),
      !open && el("span", { class: "quiet" }, [plural(box.n_ops, "op"), box.n_parameters ? `${compact(box.n_parameters)} parameters` : null]
        .filter(Boolean).join(" · ")),
      !open && result && figures(result)));
};
const itemElement = (box, place, kind, id) => {
  if (kind === "lane") {
    const lane = el("i", { class: "lane" }), key = keyOf(box, id);
    if (!lanes.has(key)) lanes.set(key, []);
    lanes.get(key).push([place, lane]);
    return lane;
  }
  const made = kind === "box" ? boxElement(id) : kind === "op" ? opCard(ops[id]) : leafCard(values[id]);
  shown.set(keyOf(kind, id), made);
  return made;
};
const opCard = (op) => {
  const value = throughOf(op) || output(op);
  return el("button", { class: `card op${op.step === undefined ? " constant" : ""}`, type: "button", "data-item": keyOf("op", op.id),
    title: [op.saying, boxes[op.box].path].filter(Boolean).join(" · "), onclick: () => choose("op", op.id) },
    el("span", { class: "title" }, small ? el("b", {}, op.saying) : [el("b", {}, brief(opName(op))), " ", value && value.name !== opName(op) && el("small", {}, brief(value.name))]),
    value && figures(value), marks(op, value));
};
const leafCard = (value) => el("button", { class: `card leaf ${value.role}`, type: "button", "data-item": keyOf("leaf", value.id),
  title: `${value.name} · ${value.role} ${shapeOf(value)}`, onclick: () => choose("leaf", value.id) },
  el("span", { class: "title" }, el("b", {}, small ? value.name : value.name.split(".").slice(-2).join("."))), figures(value), marks(null, value));
// Value to the left, gradient to the right.
const figures = (value) => el("span", { class: "figures" },
  !isNumber(value.value) && el("span", { class: "quiet" }, shapeOf(value)),
  value.value && el("span", { class: "value" }, isWhole(value) && !isNumber(value.value) ? `${number(value.value.smallest)} … ${number(value.value.largest)}` : figure(value.value)),
  value.gradient && el("span", { class: "gradient", "data-of": value.id, title: "gradient of the loss" }, figure(value.gradient)));
const marks = (op, value) => [
  value && value.met && el("span", { class: "met", title: `${value.met.length} contributions meet here` }, `Σ ${value.met.length}`),
  op && !op.independent && el("span", { class: "sign", title: "differentiated by autograd: not independent" }, "autograd"),
  op && op.in_place && el("span", { class: "sign", title: "writes in place" }, "in place"),
  op && verdict(op) && el("span", { class: `proof ${verdict(op)}` }, proofMark(op)),
];
// The culprit's own gradient may be right: wrong is what it hands on.
const proofMark = (op) => verdict(op) === "wrong" ? "✗ wrong here" : `${SIGNS[verdict(op)]} ${number(op.error, 2)}`;
const SIGNS = { right: "✓", agrees: "=", wrong: "✗", follows: "!" };
// After a verification: within its tolerance, the culprit, or wrong because of what came before. Where two ways agree
// everywhere and nothing is proved for all that, no operation is called right.
const exceeds = (op) => op.tolerance !== undefined && op.error > op.tolerance;
const parted = picture.ops.some(exceeds);
const verdict = (op) => op.id === picture.suspect ? "wrong" : op.error === undefined ? "" : exceeds(op) ? "follows" : picture.verdict === "proved" || parted ? "right" : "agrees";

const toggle = (id, open = !unfolded.has(id)) => {
  if (open) unfolded.add(id); else unfolded.delete(id);
  const old = shown.get(keyOf("box", id)), top = old && old.getBoundingClientRect().top;
  drawGraph();
  const now = shown.get(keyOf("box", id));
  if (now && old) {
    pane.scrollTop += now.getBoundingClientRect().top - top;  // what was clicked stays under the pointer
    now.querySelector(".chevron").focus({ preventScroll: true });
  }
};
const unfoldTo = (box) => {
  const before = unfolded.size;
  for (const at of lineOf(box)) unfolded.add(at);
  if (unfolded.size !== before) drawGraph();
};
const unfoldDepth = (depth) => {
  unfolded.clear();
  unfolded.add(0);
  for (const box of boxes) if (depthOf(box.id) <= depth) unfolded.add(box.id);
};
// As deep as leaves the graph readable at first sight.
const firstDepth = () => {
  for (let depth = 0; ; depth++) {
    const opened = boxes.filter((box) => depthOf(box.id) <= depth + 1);
    if (opened.length === boxes.filter((box) => depthOf(box.id) <= depth).length) return depth;
    if (opened.reduce((sum, box) => sum + childrenOf(box.id).length, 0) > (phone.matches ? 12 : 40)) return depth;
  }
};

// The element that stands for an operation or leaf: itself, or the outermost folded box around it.
const standsFor = (kind, id) => {
  const line = lineOf((kind === "op" ? ops[id] : values[id]).box);
  const folded = line.find((box) => !unfolded.has(box));
  return folded === undefined ? [keyOf(kind, id), line] : [keyOf("box", folded), line.slice(0, line.indexOf(folded))];
};
const sourceOf = (value) => value.made_by === undefined ? ["leaf", value.id] : ["op", value.made_by];

// Every wire once: from what stands for its source, through the lanes of the open boxes, to what stands for its reader.
const wires = () => {
  const found = new Map();
  for (const value of values) {
    if (!value.read_by || value.box === undefined) continue;
    const [from, up] = standsFor(...sourceOf(value));
    for (const reader of value.read_by) {
      const [to, down] = standsFor("op", reader);
      const key = `${from}>${to}>${value.id}`;
      if (from === to || found.has(key)) {
        if (found.has(key)) found.get(key).readers.push(reader);
        continue;
      }
      let shared = 0;
      while (shared < up.length && shared < down.length && up[shared] === down[shared]) shared++;
      const through = [...up.slice(shared - 1).reverse(), ...down.slice(shared)].map((box) => keyOf(box, value.id));
      found.set(key, { value, from, to, through, readers: [reader] });
    }
  }
  return [...found.values()];
};

const drawWires = () => {
  const root = $("wires");
  if (!root || pane.hidden) return;
  const screen = root.getScreenCTM();
  const rect = (element) => {
    const r = element.getBoundingClientRect();
    return { left: (r.left - screen.e) / screen.a, right: (r.right - screen.e) / screen.a, top: (r.top - screen.f) / screen.d, bottom: (r.bottom - screen.f) / screen.d };
  };
  const card = (key) => {
    const element = shown.get(key);
    return key.startsWith("box") && !element.classList.contains("open") ? rect(element.firstChild) : rect(element);
  };
  const drawn = wires().map((wire) => {
    const from = card(wire.from), to = card(wire.to);
    const stops = wire.through.flatMap((key) => lanes.get(key) || []).map(([, lane]) => rect(lane))
      .filter((r) => r.top >= from.bottom - 1 && r.bottom <= to.top + 1).sort((a, b) => a.top - b.top);
    return { ...wire, from, to, fromKey: wire.from, toKey: wire.to, points: stops.map((r) => [(r.left + r.right) / 2, r.top, r.bottom]) };
  });
  ports(drawn);
  root.replaceChildren(arrow("plain"), arrow("lit"), arrow("picked"), ...drawn.map(wirePath));
  lightWires();
};
// Wires that come into one card share its upper edge, in the order in which they come.
const ports = (drawn) => {
  const groups = Map.groupBy ? Map.groupBy(drawn, (wire) => wire.toKey) : drawn.reduce((all, wire) => all.set(wire.toKey, [...(all.get(wire.toKey) || []), wire]), new Map());
  for (const group of groups.values()) {
    const last = (wire) => wire.points.length ? wire.points[wire.points.length - 1][0] : (wire.from.left + wire.from.right) / 2;
    group.sort((a, b) => last(a) - last(b));
    group.forEach((wire, i) => { wire.end = wire.to.left + (wire.to.right - wire.to.left) * (i + 1) / (group.length + 1); });
  }
};
const wirePath = ({ value, from, to, points, end, readers }) => {
  const start = (from.left + from.right) / 2;
  let d = `M${start.toFixed(1)} ${from.bottom.toFixed(1)}`, x = start, y = from.bottom;
  for (const [px, top, bottom] of [...points, [end, to.top - 4, null]]) {
    const bend = Math.max(6, (top - y) / 2);
    d += `C${x.toFixed(1)} ${(y + bend).toFixed(1)} ${px.toFixed(1)} ${(top - bend).toFixed(1)} ${px.toFixed(1)} ${top.toFixed(1)}`;
    if (bottom !== null) d += `V${bottom.toFixed(1)}`;
    x = px;
    y = bottom;
  }
  const path = svg("path", { d, class: value.gradient ? "wire" : "wire constant", "marker-end": "url(#arrow-plain)" });
  path.wire = { value: value.id, readers };
  return path;
};
const arrow = (name) => svg("marker", { id: `arrow-${name}`, class: name, viewBox: "0 0 8 8", refX: 4, refY: 4, markerWidth: name === "lit" ? 10 : 7, markerHeight: name === "lit" ? 10 : 7, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" },
  svg("path", { d: "M0 0.5L8 4L0 7.5z" }));

const setZoom = (wanted) => {
  zoom = Math.min(2, Math.max(0.3, wanted));
  canvas.style.zoom = zoom;
  drawWires();
};
// As large as the width allows; a small graph that fits as a whole may be larger than life, to be read from afar.
const fitWidth = () => {
  canvas.style.zoom = 1;
  const across = pane.clientWidth / (shown.get("box 0").scrollWidth + 40), down = pane.clientHeight / (canvas.scrollHeight + 2);
  // On a phone all of the width is seen at first; elsewhere letters stay readable.
  setZoom(across < 1 ? Math.max(phone.matches ? 0.3 : 0.7, across) : Math.max(1, Math.min(across, down, 1.6)));
  pane.scrollLeft = (pane.scrollWidth - pane.clientWidth) / 2;
};

// On paper the graph is one piece with the size that it has when the wires are drawn: as wide as the sheet, and on one
// sheet where that leaves it readable. Pixels of A4 and Letter between margins of 12 mm.
const SHEET = { width: 690, height: 860 }, LEAST_ON_PAPER = 0.45;
const toPaper = () => {
  document.documentElement.classList.add("paper");
  canvas.style.zoom = 1;
  canvas.style.width = canvas.style.height = "";
  canvas.style.contain = "none";
  const wide = shown.get("box 0").scrollWidth + 44, tall = canvas.scrollHeight;
  const across = Math.min(1, SHEET.width / wide), whole = Math.min(across, SHEET.height / tall);
  const scale = whole >= LEAST_ON_PAPER ? whole : across;
  Object.assign(canvas.style, { width: `${wide}px`, height: `${tall}px`, contain: "", zoom: scale });
  drawWires();
};
const fromPaper = () => {
  document.documentElement.classList.remove("paper");
  Object.assign(canvas.style, { width: "", height: "", contain: "" });
  setZoom(zoom);
};
