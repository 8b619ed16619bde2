// The walk back from the loss: slider, keys, the line of the chain rule, the ledger, and what is lit.
const slider = $("slider");
const TAB = "\u2002";
let at = 0;                         // 0: everything is shown; n: the n-th step back

// Names stand whole, and may break behind a dot or an underscore.
const partial = (name) => ["∂L/∂", ...brief(name)];
// So many letters fit in the bar in large type.
const LONG = 60;
// One line for each input: ∂L/∂w = ∂L/∂u · ∂u/∂w = −0.08 · 1.1 = −0.09; for tensors shapes and norms.
const chainLines = (step) => {
  const op = ops[step.op], through = values[step.through];
  return (step.parts || []).map((part) => {
    const to = values[part.value];
    const scalar = step.incoming !== undefined && part.local !== undefined && part.number !== undefined;
    const made = through.name === "" ? opName(op) : through.name;
    const long = 2 * (Math.min(made.length, LONGEST) + Math.min(to.name.length, LONGEST)) > LONG ? "long" : null;
    const head = [el("b", {}, partial(to.name)), el("span", { class: scalar ? "" : "middle" }, " = ", partial(made), " · ", ["∂", ...brief(made)], ["/∂", ...brief(to.name)])];
    if (scalar) return el("div", { class: long }, head, " = ", el("span", { class: "gradient" }, number(step.incoming)), " · ", el("span", { class: "value" }, number(part.local)), " = ", el("b", { class: "gradient" }, number(part.number)));
    const from = step.incoming !== undefined ? number(step.incoming) : `‖${number(step.incoming_norm)}‖`;
    return el("div", { class: long }, head, TAB, el("small", {}, derivativeOf(op, part.argument) || ""), TAB,
      el("span", { class: "gradient" }, from), " → ", el("b", { class: "gradient" }, part.number !== undefined ? number(part.number) : `‖${number(part.norm)}‖`), el("small", {}, ` ${shapeOf(to)}`));
  });
};
const meetingLines = (step) => {
  const value = values[step.through];
  if (!value.met) return [];
  const summands = value.met.slice(0, 4).map((one) => one.number !== undefined ? number(one.number) : `‖${number(one.norm)}‖`);
  const total = figure(value.gradient), more = value.met.length > 4 ? ` + ${value.met.length - 4} more` : "";
  return [el("div", {}, el("span", { class: "met" }, `Σ ${value.met.length}`), " ", partial(value.name), " = ", el("span", { class: "gradient" }, `${summands.join(" + ").replaceAll("+ −", "− ")}${more}`), " → ", el("b", { class: "gradient" }, total))];
};

// The followed element at this step: its largest product, and the sum.
const followedLines = (step) => {
  const term = termsOf.get(step.op);
  if (!term || term.output === undefined) return [];
  return [el("div", { class: "way" }, el("span", { class: "met" }, "followed"), " ", partial(placed(term.value, term.index)), " = ",
    term.n_terms > 1 && el("small", {}, `Σ of ${term.n_terms.toLocaleString("en")}, largest `), el("span", { class: "gradient" }, number(term.gradient)), " · ", el("span", { class: "value" }, number(term.local)),
    term.n_terms > 1 && " → ", el("b", { class: "gradient" }, term.n_terms > 1 ? number(term.number) : ` = ${number(term.number)}`))];
};

const walkTo = (wanted, { scroll = true } = {}) => {
  at = Math.min(steps.length, Math.max(0, wanted));
  slider.value = at;
  const step = at ? steps[at - 1] : null;
  $("step").textContent = at ? `${at} of ${steps.length}` : plural(steps.length, "step");
  slider.setAttribute("aria-valuetext", step ? `step ${at} of ${steps.length}: ${ops[step.op].saying}` : "all gradients shown");
  $("line").replaceChildren(...(step ? [el("div", { class: "said" }, el("b", {}, ops[step.op].saying)), ...meetingLines(step), ...chainLines(step), ...followedLines(step)]
    : [el("div", { class: "said" }, "The chain rule, from the loss back to every weight."), el("div", { class: "quiet" }, "Step with the arrow keys, the slider, or play.")]));
  $("back").disabled = $("first").disabled = at === 0;
  $("forth").disabled = at === steps.length;
  markAll();
  lightWires();
  if (step) {
    choose("op", step.op, { scroll, sheet: false });
    const row = document.querySelector("#ledger [aria-current]"), frame = $("ledger");
    if (row && frame.scrollHeight > frame.clientHeight)
      frame.scrollTop = row.offsetTop - (frame.clientHeight - row.offsetHeight) / 2;
  }
};

// What of the graph the walk has reached: `now` is the operation, `done` those before it, `ahead` those to come.
const markAll = () => {
  const step = at ? steps[at - 1] : null;
  const reached = new Set();
  if (step) {
    reached.add(steps[0].through);
    for (const one of steps.slice(0, at)) for (const part of one.parts || []) reached.add(part.value);
  }
  for (const [key, element] of shown) {
    const [kind, id] = key.split(" ");
    const inside = kind === "op" ? [ops[id]] : kind === "box" && !unfolded.has(+id) ? ops.filter((op) => lineOf(op.box).includes(+id)) : [];
    const now = !!step && inside.some((op) => op.id === step.op);
    element.classList.toggle("now", now);
    element.classList.toggle("followed", inside.some((op) => termsOf.has(op.id)) || (kind === "leaf" && !!followed && followed.value === +id));
    element.classList.toggle("ahead", !!step && !now && inside.length > 0 && inside.every((op) => op.step === undefined || op.step >= at));
  }
  for (const cell of canvas.querySelectorAll("[data-of]")) cell.classList.toggle("hidden", !!step && !reached.has(+cell.dataset.of));
  for (const row of document.querySelectorAll("#ledger tr[data-step]")) {
    if (+row.dataset.step === at - 1) row.setAttribute("aria-current", "step"); else row.removeAttribute("aria-current");
    row.classList.toggle("ahead", !!step && +row.dataset.step >= at);
  }
  markChosen();
};
const markChosen = () => {
  for (const card of canvas.querySelectorAll("[data-item]"))
    card.setAttribute("aria-pressed", String(!!chosen && card.dataset.item === chosen.join(" ")));
  lightWires();
};
const lightWires = () => {
  const step = at ? steps[at - 1] : null, lit = new Set(step ? (step.parts || []).map((part) => part.value) : []);
  const picked = chosen && chosen[0] === "op" ? chosen[1] : null;
  for (const path of document.querySelectorAll("#wires > path")) {
    const { value, readers } = path.wire, source = values[value].made_by;
    const isLit = !!step && lit.has(value) && readers.includes(step.op);
    const isPicked = !isLit && chosen && (readers.includes(picked) || (picked !== null && source === picked) || (chosen[0] === "leaf" && value === chosen[1]));
    path.classList.toggle("lit", isLit);
    path.classList.toggle("picked", !!isPicked);
    path.classList.toggle("followed", readers.some((op) => termsOf.has(op) && termsOf.get(op).value === value));
    // The gradient runs the other way: its arrow is at the upper end.
    if (isLit) path.setAttribute("marker-start", "url(#arrow-lit)"); else path.removeAttribute("marker-start");
    if (isLit) path.removeAttribute("marker-end"); else path.setAttribute("marker-end", `url(#arrow-${isPicked ? "picked" : "plain"})`);
  }
};

const drawLedger = () => {
  const head = el("tr", {}, [["#", ""], ["operation", ""], ["value", "n"], ["gradient in", "n"], ["gradient out", ""]].map(([word, kind]) => el("th", { scope: "col", class: kind }, word)));
  const lines = steps.map((step) => {
    const op = ops[step.op], value = values[step.through];
    return el("tr", { "data-step": step.order, class: op.error !== undefined ? verdict(op) : "", onclick: () => { stop(); walkTo(step.order + 1); } },
      el("td", { class: "quiet" }, `${step.order + 1}`),
      el("th", { scope: "row" }, el("button", { class: "link", type: "button" }, small ? soft(op.saying) : brief(opName(op))), !small && el("small", {}, " ", soft(boxes[op.box].path))),
      el("td", { class: "n value" }, figure(value.value)),
      el("td", { class: "n gradient" }, value.met && el("span", { class: "met" }, `Σ ${value.met.length}`), " ", el("span", {}, step.incoming !== undefined ? number(step.incoming) : `‖${number(step.incoming_norm)}‖`)),
      el("td", {}, (step.parts || []).map((part) => el("span", { class: "part", title: values[part.value].name }, el("span", {}, brief(shortName(values[part.value].name))), el("span", { class: "gradient" }, part.number !== undefined ? number(part.number) : `‖${number(part.norm)}‖`)))));
  });
  $("ledger").replaceChildren(steps.length
    ? el("table", { class: "ledger" }, el("caption", {}, "The chain rule, from the loss back"), el("thead", {}, head), el("tbody", {}, lines))
    : el("p", { class: "quiet" }, "Recorded without a walk back: values, and no gradients."));
};
const shortName = (name) => name.split(".").slice(-2).join(".");

let timer = null;
const playing = (on) => {
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  $("play").title = on ? "Pause" : "Play";
  for (const icon of $("play").children) icon.toggleAttribute("hidden", icon.classList.contains("pause") !== on);
};
const stop = () => {
  clearInterval(timer);
  timer = null;
  playing(false);
};
const play = () => {
  if (timer) return stop();
  if (at === steps.length) walkTo(0);
  playing(true);
  const go = () => { walkTo(at + 1); if (at === steps.length) stop(); };
  timer = setInterval(go, steps.length > 100 ? 400 : 1400);
  go();
};
