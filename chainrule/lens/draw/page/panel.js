// The panel: everything about the chosen operation, tensor or module.
const panel = $("panel");
let chosen = null;                  // ["op" | "leaf" | "box", number]

const choose = (kind, id, { scroll = false, sheet = true } = {}) => {
  chosen = [kind, id];
  const content = kind === "op" ? opPanel(ops[id]) : kind === "leaf" ? leafPanel(values[id]) : boxPanel(boxes[id]);
  panel.replaceChildren(el("button", { class: "close", type: "button", "aria-label": "Close", onclick: closePanel }, "×"), ...content.flat(9).filter(Boolean));
  panel.scrollTop = 0;
  panel.classList.toggle("up", sheet);
  drawHeats();
  markChosen();
  if (scroll) bringIntoView(kind, id);
};
const closePanel = () => {
  panel.classList.remove("up");
  const card = chosen && document.querySelector(`[data-item="${chosen.join(" ")}"]`);
  if (card) card.focus({ preventScroll: true });
};
const bringIntoView = (kind, id) => {
  const key = kind === "box" ? keyOf(kind, id) : standsFor(kind, id)[0];
  const element = shown.get(key);
  if (!element) return;
  const target = element.getBoundingClientRect(), frame = pane.getBoundingClientRect();
  if (target.top < frame.top + 30 || target.bottom > frame.bottom - 30)
    pane.scrollTop += target.top - frame.top - Math.max(40, (frame.height - target.height) / 2);
  if (target.left < frame.left + 10 || target.right > frame.right - 10)
    pane.scrollLeft += target.left - frame.left - (frame.width - target.width) / 2;
};
// Goes to something that may be folded away.
const goTo = (kind, id) => {
  const box = kind === "box" ? boxes[id].parent : (kind === "op" ? ops[id] : values[id]).box;
  if (box !== undefined) unfoldTo(box);
  choose(kind, id, { scroll: true });
};
const link = (value, name = value.name) => {
  const [kind, id] = sourceOf(value);
  return el("button", { class: "link", type: "button", onclick: () => goTo(kind, id) }, name);
};
const opLink = (op) => el("button", { class: "link", type: "button", onclick: () => goTo("op", op.id) }, small ? op.saying : `${output(op) ? output(op).name : opName(op)}`);

const pathOf = (box) => lineOf(box).slice(1).map((at) => boxes[at].label).join(" › ");
const opPanel = (op) => {
  const site = siteOf(op), rule = rules[op.rule], value = throughOf(op) || output(op);
  return [
    el("h2", { class: op.saying.length > 48 ? "long" : null }, ...soft(op.saying)),
    el("p", { class: "quiet" }, [op.op, pathOf(op.box), op.step === undefined ? "no gradient goes through" : `step ${op.step + 1} back`].filter(Boolean).join(" · ")),
    verdict(op) && el("p", { class: `proof ${verdict(op)}` }, proofWords(op)),
    !op.independent && el("p", { class: "note" }, "No rule of our own: autograd differentiated this operation, so this step is not independent."),
    termsOf.has(op.id) && followedPart(termsOf.get(op.id)),
    rule && formulas(op, rule),
    value && tensorParts(value),
    op.cost && costPart(op),
    site && [el("h3", {}, "Source"), el("p", { class: "quiet" }, `${site.file}:${site.line}, in ${site.function}`), el("pre", {}, site.code)],
    el("h3", {}, "Joined to"),
    el("dl", { class: "joined" },
      el("dt", {}, "reads"), el("dd", {}, op.reads ? op.reads.map(([argument, id], i) => [i ? ", " : "", link(values[id]), el("small", {}, ` ${letterOf(op, argument)}`)]).flat() : "nothing"),
      op.given && [el("dt", {}, "with"), el("dd", {}, op.given.map(([name, text]) => `${name} ${text}`).join(", "))],
      el("dt", {}, "makes"), el("dd", {}, op.makes.map((id) => `${values[id].name} ${shapeOf(values[id])} ${values[id].dtype}`).join(", ")),
      el("dt", {}, "read by"), el("dd", {}, readersOf(op.makes.flatMap((id) => values[id].read_by || [])))),
  ];
};
const costPart = (op) => {
  const { seconds, bytes, flops, saved } = op.cost;
  return [
    el("h3", {}, "Cost"),
    el("dl", { class: "joined" },
      el("dt", {}, "time"), el("dd", {}, `${secondsOf(seconds)}, ${shareOf(seconds)} of the run forwards`),
      el("dt", {}, "memory"), el("dd", {}, bytes ? `${bytesOf(bytes)} newly made` : "none of its own"),
      el("dt", {}, "FLOPs"), el("dd", {}, flops ? flops.toLocaleString("en") : "none"),
      picture.saved_bytes !== undefined && [el("dt", {}, "kept"), el("dd", {}, saved ? saved.map((one, i) => [i ? "; " : "", el("i", {}, one.word), " ", one.value === undefined ? "of autograd's own" : link(values[one.value]),
        ` ${bytesOf(one.bytes)}`, one.held && el("small", {}, " lives on anyway")]).flat() : "nothing: autograd needs none of it on the way back")]),
  ];
};
const followedPart = (term) => [
  el("h3", { class: "gradient" }, `Followed: ${placed(term.value, term.index)}`),
  el("p", { class: "quiet" }, term.output === undefined ? "Nothing that goes out depends on this element: the way ends here."
    : [`its largest term: ∂L/∂${placed(term.output, term.output_index)} · local = `, el("span", { class: "gradient" }, number(term.gradient)), " · ", el("span", { class: "value" }, number(term.local)),
      term.n_terms > 1 ? ` = ${number(term.gradient * term.local)}, one of ${term.n_terms.toLocaleString("en")} products` : ""]),
  el("p", {}, "sum ", el("b", { class: "gradient" }, number(term.number, 6)), term.total !== term.number && [", with its other uses ", el("b", { class: "gradient" }, number(term.total, 6))]),
];
const followedList = () => [
  el("h3", { class: "gradient" }, `Followed: ${placed(followed.value, followed.index)}`),
  el("p", {}, `its value is ${number(followed.number, 6)}, and ∂L/∂${placed(followed.value, followed.index)} = `, el("b", { class: "gradient" }, number(followed.gradient, 6))),
  el("ol", { class: "followed-list" }, (followed.terms || []).map((term) => el("li", {}, opLink(ops[term.op]), " ", el("span", { class: "quiet" }, placed(term.value, term.index)), " ", el("span", { class: "gradient" }, number(term.total))))),
];
const readersOf = (ids) => ids.length ? ids.flatMap((id, i) => [i ? ", " : "", opLink(ops[id])]) : "nothing after it";
const proofWords = (op) => ({
  right: `Proved: relative error ${number(op.error, 2)}` + (op.tolerance === undefined ? "" : `, allowed ${number(op.tolerance, 2)}`),
  agrees: `Autograd and the rules agree: relative error ${number(op.error, 2)}`,
  wrong: "The gradients that this operation hands on are wrong: " + (parted ? "autograd and the rules give different ones." : "autograd and the rules agree, and numbers contradict both."),
  follows: `Relative error ${number(op.error, 2)}, more than ${number(op.tolerance, 2)}: it follows from an operation nearer to the loss`,
})[verdict(op)];
const formulas = (op, rule) => [
  el("h3", {}, "Formula"),
  el("p", { class: "formula" }, rule.text),
  Object.values(rule.by).length > 0 && el("ul", { class: "formulas" }, Object.entries(rule.by).map(([argument, [letter, text]]) => {
    const read = (op.reads || []).filter(([name]) => name.split("[")[0] === argument);
    return read.length > 0 && el("li", {}, el("span", { class: "formula" }, text), read.some(([, id]) => values[id].name !== letter) && el("small", {}, ` ${letter} is ${read.map(([, id]) => values[id].name).join(", ")}`));
  })),
];
const leafPanel = (value) => [
  el("h2", {}, value.name),
  el("p", { class: "quiet" }, [value.role, shapeOf(value), value.dtype, value.device].join(" · ")),
  (picture.unreached || []).includes(value.id) && el("p", { class: "note" }, "The loss does not depend on it."),
  (picture.tied || []).filter(([, to]) => to === value.name).map(([other]) => el("p", { class: "note" }, `Tied: ${other} is the same tensor.`)),
  followed && followed.value === value.id && followedList(),
  tensorParts(value),
  el("h3", {}, "Joined to"), el("dl", { class: "joined" }, el("dt", {}, "read by"), el("dd", {}, readersOf(value.read_by || []))),
];
const boxPanel = (box) => {
  const weights = values.filter((value) => value.role === "parameter" && (value.read_by || []).some((id) => lineOf(ops[id].box).includes(box.id)));
  const results = (box.makes || []).map((id) => values[id]);
  return [
    el("h2", {}, box.label), el("p", { class: "quiet" }, [box.kind, box.path].filter(Boolean).join(" · ")),
    el("p", {}, `${plural(box.n_ops, "operation")}, ${compact(box.n_parameters)} parameters.`),
    box.id ? el("button", { class: "plain", type: "button", onclick: () => { unfoldTo(box.parent); toggle(box.id); } }, unfolded.has(box.id) ? "Fold" : "Unfold") : null,
    weights.length > 0 && [el("h3", {}, "Weights"), el("div", { class: "scroll" }, el("table", { class: "grid" },
      el("thead", {}, el("tr", {}, ["weight", "shape", "norm", "gradient"].map((word) => el("th", { scope: "col" }, word)))),
      el("tbody", {}, weights.map((value) => el("tr", {}, el("th", { scope: "row" }, link(value, box.path && value.name.startsWith(`${box.path}.`) ? value.name.slice(box.path.length + 1) : value.name)), el("td", {}, shapeOf(value)),
        el("td", {}, figure(value.value)), el("td", { class: "gradient" }, figure(value.gradient)))))))],
    results.slice(-3).map((value) => [el("h3", {}, "Result ", link(value)), tensorParts(value)]),
  ];
};

// Value and gradient of one tensor, side by side where there is room.
const tensorParts = (value) => el("div", { class: "pair" },
  value.value && el("section", { class: "look" }, el("h3", { class: "value" }, "Value ", el("small", {}, `${value.name} ${shapeOf(value)} ${value.dtype}`)), lookParts(value.value, value, "value")),
  value.gradient && el("section", { class: "look" }, el("h3", { class: "gradient" }, "Gradient ", el("small", {}, `∂L/∂${value.name}`)), lookParts(value.gradient, value, "gradient"), metParts(value)));
const lookParts = (look, value, kind) => [
  isNumber(look) && el("p", { class: `big ${kind}` }, number(look.number, 9)),
  look.elements && elementsTable(look.elements, value.shape || []),
  !isNumber(look) && statistics(look),
  look.histogram && histogramOf(look.histogram, kind),
  look.heat && heatOf(look.heat),
];
const statistics = (look) => el("dl", { class: "stats" }, [["norm", look.norm], ["mean", look.mean], ["std", look.std], ["min", look.smallest], ["max", look.largest]]
  .filter(([, x]) => x !== undefined).map(([name, x]) => el("div", {}, el("dt", {}, name), el("dd", {}, number(x)))),
  look.n_nan > 0 && el("div", { class: "bad" }, el("dt", {}, "NaN"), el("dd", {}, look.n_nan.toLocaleString("en"))),
  look.n_inf > 0 && el("div", { class: "bad" }, el("dt", {}, "infinite"), el("dd", {}, look.n_inf.toLocaleString("en"))));
const elementsTable = (elements, shape) => {
  const width = shape.length ? shape[shape.length - 1] : 1;
  if (width > 16) return null;
  const lines = [];
  for (let i = 0; i < elements.length; i += width) lines.push(elements.slice(i, i + width));
  return el("div", { class: "scroll" }, el("table", { class: "elements" }, lines.map((line) => el("tr", {}, line.map((x) => el("td", {}, number(x)))))));
};
const metParts = (value) => value.met && el("div", { class: "meeting" },
  el("p", {}, el("span", { class: "met" }, `Σ ${value.met.length}`), ` ${value.met.length} contributions meet here; their sum is the gradient.`),
  el("table", { class: "grid" }, value.met.map((one) => el("tr", {}, el("th", { scope: "row" }, opLink(ops[one.op])),
    el("td", { class: "gradient" }, one.number !== undefined ? number(one.number, 6) : `‖${number(one.norm)}‖`)))));

const histogramOf = ({ low, high, counts, every }, kind) => {
  const most = Math.max(...counts), width = 256, height = 56, bar = width / counts.length;
  const zero = low < 0 && high > 0 ? -low / (high - low) * width : null;
  return el("figure", { class: "histogram" },
    svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: kind, role: "img",
      "aria-label": `Histogram from ${number(low)} to ${number(high)}; the fullest bin holds ${most.toLocaleString("en")}` },
      counts.map((n, i) => n && svg("rect", { x: (i * bar + 0.5).toFixed(2), width: (bar - 1).toFixed(2), y: (height - Math.max(1, n / most * height)).toFixed(2), height: Math.max(1, n / most * height).toFixed(2) })),
      zero !== null && svg("line", { class: "zero", x1: zero, x2: zero, y1: 0, y2: height })),
    el("figcaption", {}, el("span", {}, number(low)), every > 1 && el("span", {}, `every ${every}th element`), el("span", {}, number(high))));
};

const heatOf = (heat) => {
  const cell = Math.max(6, Math.min(18, Math.floor(256 / heat.columns))), canvas = el("canvas", { width: heat.columns, height: heat.rows, class: "heat", role: "img",
    "aria-label": `Heatmap of ${heat.rows} × ${heat.columns} squares from ${number(heat.low)} to ${number(heat.high)}` });
  canvas.style.width = `${heat.columns * cell}px`;
  canvas.style.aspectRatio = `${heat.columns} / ${heat.rows}`;
  canvas.heat = heat;
  const scale = el("canvas", { width: 64, height: 1, class: "scale", "aria-hidden": "true" });
  scale.heat = { rows: 1, columns: 64, low: heat.low, high: heat.high, ramp: true };
  return el("figure", { class: "heatmap" }, canvas, el("figcaption", {}, el("span", {}, number(heat.low)), scale, el("span", {}, number(heat.high))));
};
const isDark = () => {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
// Below zero blue, above zero orange, zero the colour of the page; one sign: from the page to that colour.
const drawHeats = () => {
  const dark = isDark(), middle = dark ? [38, 42, 48] : [246, 245, 241];
  const below = dark ? [110, 164, 244] : [30, 84, 176], above = dark ? [247, 146, 86] : [184, 62, 10], broken = dark ? [255, 80, 200] : [214, 0, 147];
  const mix = (to, share) => middle.map((c, i) => Math.round(c + (to[i] - c) * share));
  for (const canvas of document.querySelectorAll("canvas.heat, canvas.scale")) {
    const { rows, columns, low, high, squares, ramp } = canvas.heat;
    const bytes = ramp ? Uint8Array.from({ length: 64 }, (_, i) => i / 63 * 254) : Uint8Array.from(atob(squares), (c) => c.charCodeAt(0));
    const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
    const far = Math.max(Math.abs(low), Math.abs(high)), near = low < 0 && high > 0 ? 0 : Math.min(Math.abs(low), Math.abs(high));
    bytes.forEach((byte, i) => {
      const x = low + byte / 254 * (high - low), share = far > near ? (Math.abs(x) - near) / (far - near) : 0;
      image.data.set([...(byte === 255 ? broken : mix(x < 0 ? below : above, 0.08 + 0.92 * Math.max(0, share))), 255], i * 4);
    });
    context.putImageData(image, 0, 0);
  }
};
