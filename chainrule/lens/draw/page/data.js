// The picture, and how numbers and names are written.
const picture = JSON.parse(document.getElementById("picture").textContent);
const { boxes, ops, values } = picture;
const steps = picture.steps || [];
const sites = picture.sites || [];
const rules = picture.rules || {};
const $ = (id) => document.getElementById(id);

// Elements with text that can never become markup: children are nodes or text.
const el = (name, attributes, ...children) => {
  const made = document.createElement(name);
  fill(made, attributes, children);
  return made;
};
const svg = (name, attributes, ...children) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  fill(made, attributes, children);
  return made;
};
const fill = (made, attributes, children) => {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
};

const number = (x, digits = 4) => {
  if (x === null || x === undefined) return "–";
  if (x === 0) return "0";
  const size = Math.abs(x);
  const text = size >= 1e5 || size < 1e-3 ? x.toExponential(digits - 2).replace(/\.?0+e/, "e").replace("e+", "e") : `${+x.toPrecision(digits)}`;
  return text.replaceAll("-", "−");
};
const compact = (n) => {
  for (const [size, suffix] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])
    if (n >= size) return `${+(n / size).toPrecision(3)}${suffix}`;
  return `${n}`;
};
const bytesOf = (n) => {
  for (const [size, suffix] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
    if (n >= size) return `${+(n / size).toPrecision(3)} ${suffix}`;
  return `${n} B`;
};
const secondsOf = (s) => s >= 1 ? `${+s.toPrecision(3)} s` : s >= 1e-3 ? `${+(s * 1e3).toPrecision(3)} ms` : `${+(s * 1e6).toPrecision(3)} µs`;
// What autograd keeps of an operation and nothing else would.
const keptOf = (op) => op.cost ? (op.cost.saved || []).reduce((sum, one) => sum + (one.held ? 0 : one.bytes), 0) : 0;
const shareOf = (seconds) => picture.seconds ? `${+(100 * seconds / picture.seconds).toPrecision(2)} %` : "";
// The followed element at each operation.
const followed = picture.followed;
const termsOf = new Map((followed && followed.terms || []).map((term) => [term.op, term]));
const placed = (value, index) => `${values[value].name}${index && index.length ? `[${index.join(", ")}]` : ""}`;
const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
const shapeOf = (value) => value.shape ? `[${value.shape.join(", ")}]` : "scalar";
// Long names may break after an underscore or a dot.
const soft = (text) => text.split(/(?<=[_.])/).flatMap((word) => [word, el("wbr")]).slice(0, -1);
// A long name by its two ends; the whole of it is the tooltip.
const LONGEST = 30;
const brief = (text) => text.length <= LONGEST ? soft(text) : [el("span", { title: text }, soft(`${text.slice(0, 17)}…${text.slice(-11)}`))];
const isWhole = (value) => !/float|complex/.test(value.dtype);
const isNumber = (look) => !!look && look.number !== undefined;
// A tensor in one figure: the number itself, or its norm.
const figure = (look) => !look ? "" : isNumber(look) ? number(look.number) : look.n_nan ? "NaN" : look.norm === undefined ? "∞" : `‖${number(look.norm)}‖${look.n_inf ? " and ∞" : ""}`;

const opName = (op) => op.rule.replace(/^_+|_+$/g, "");
const small = ops.length <= 60;
const output = (op) => values[op.makes[0]];
const siteOf = (op) => op.site === undefined ? null : sites[op.site];
const stepOf = (op) => op.step === undefined ? null : steps[op.step];
// The gradient shown on an operation: that of the output through which it comes.
const throughOf = (op) => values[stepOf(op) ? stepOf(op).through : op.makes[0]] || null;
const letterOf = (op, argument) => {
  const base = argument.split("[")[0], rule = rules[op.rule];
  return (rule && rule.by[base] ? rule.by[base][0] : base) + argument.slice(base.length);
};
const derivativeOf = (op, argument) => {
  const rule = rules[op.rule], by = rule && rule.by[argument.split("[")[0]];
  return by ? by[1] : null;
};

// The boxes around something, from the outermost in.
const lineOf = (box) => {
  const line = [];
  for (let at = box; at !== undefined; at = boxes[at].parent) line.unshift(at);
  return line;
};
const depthOf = (box) => lineOf(box).length - 1;
const childrenOf = (box) => (boxes[box].rows || []).flat(2).filter(([kind]) => kind !== "lane");
