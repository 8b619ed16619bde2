// Joins the parts: facts, notices, search, table, buttons, keys.
const facts = [
  plural(ops.length, "operation"),
  boxes.length > 1 && plural(boxes.length - 1, "module"),
  boxes[0].n_parameters > 0 && `${compact(boxes[0].n_parameters)} parameters`,
  picture.loss !== undefined && `loss ${number(values[picture.loss].value && values[picture.loss].value.number, 6)}`,
  picture.seconds > 0 && `${secondsOf(picture.seconds)} forwards`,
  picture.flops > 0 && `${compact(picture.flops).replace(/[A-Z]?$/i, " $&")}FLOPs`,
  picture.saved_bytes > 0 && `${bytesOf(picture.saved_bytes)} kept for backward`,
  picture.training !== undefined && (picture.training ? "training mode" : "evaluation mode"),
  picture.level === "core" && "core ATen",
].filter(Boolean);
$("facts").textContent = facts.join(" · ");

$("key").append(...[el("span", { class: "value" }, "value"), steps.length && el("span", { class: "gradient" }, "∇ gradient of the loss"),
  values.some((value) => value.value && !isNumber(value.value)) && el("span", {}, "‖ ‖ norm of a tensor"),
  values.some((value) => value.met) && el("span", {}, el("span", { class: "gradient" }, "Σ "), "gradients meet and add up")].filter(Boolean));

const notice = (...parts) => $("notices").append(el("p", { class: "notice" }, ...parts));
if (picture.verdict !== undefined) {
  const suspect = picture.suspect === undefined ? null : ops[picture.suspect];
  const heads = { proved: ["right", "Proved. "], wrong: ["wrong", "Wrong. "], "not proved": ["follows", "Not proved. "] };
  const [kind, word] = heads[picture.verdict], kinds = ["right", "agrees", "wrong", "follows"].filter((one) => ops.some((op) => verdict(op) === one));
  notice(el("b", { class: kind }, word),
    suspect ? ["The first wrong gradient comes out of ", opLink(suspect), ". "] : picture.summary,
    el("span", { class: "legend" }, kinds.map((one) => el("span", { class: `proof ${one}` }, `${SIGNS[one]} ${{ right: "within tolerance", agrees: "two ways agree", wrong: "wrong here", follows: "wrong as a consequence" }[one]}`))));
}
if (followed)
  notice(el("b", { class: "gradient" }, "Followed: "), link(values[followed.value], placed(followed.value, followed.index)), ` = ${number(followed.number)}, ∂L/∂ = `,
    el("b", { class: "gradient" }, number(followed.gradient)), `, by way of ${plural((followed.terms || []).length, "operation")}`);
if (picture.omitted)
  notice(el("b", {}, "Left out to keep this file small: "), picture.omitted.join(" "));

// All operations as a table: the same content without the drawing.
const drawTable = () => {
  const words = ["#", "module", "operation", "shape", "value", "gradient", "time", "memory", "FLOPs", ...(picture.saved_bytes === undefined ? [] : ["kept"]), ...(picture.verdict === undefined ? [] : ["error"]), "source"];
  $("table").replaceChildren(el("table", { class: "grid all" }, el("caption", {}, "All operations in the order in which they ran"),
    el("thead", {}, el("tr", {}, words.map((word) => el("th", { scope: "col" }, word)))),
    el("tbody", {}, ops.map((op) => {
      const value = throughOf(op) || output(op), site = siteOf(op);
      return el("tr", { class: verdict(op) || "" }, el("td", {}, `${op.id + 1}`), el("td", { title: boxes[op.box].path }, boxes[op.box].path),
        el("th", { scope: "row" }, el("button", { class: "link", type: "button", title: op.saying, onclick: () => choose("op", op.id) }, op.saying)),
        el("td", {}, value ? shapeOf(value) : ""), el("td", { class: "value" }, value ? figure(value.value) : ""), el("td", { class: "gradient" }, value ? figure(value.gradient) : ""),
        (op.cost ? [secondsOf(op.cost.seconds), op.cost.bytes ? bytesOf(op.cost.bytes) : "", op.cost.flops ? compact(op.cost.flops) : "", ...(picture.saved_bytes === undefined ? [] : [keptOf(op) ? bytesOf(keptOf(op)) : ""])] : ["", "", "", ...(picture.saved_bytes === undefined ? [] : [""])]).map((text) => el("td", { class: "n" }, text)),
        picture.verdict !== undefined && el("td", {}, verdict(op) ? proofMark(op) : ""),
        el("td", { class: "quiet" }, site ? `${site.file.split("/").pop()}:${site.line}` : ""));
    }))));
};
// The ledger stands beside the others, but on a phone, where it is one of three.
const view = (wanted) => {
  document.body.dataset.view = wanted;
  $("table").hidden = wanted !== "table";
  pane.hidden = wanted === "table" || (wanted === "ledger" && phone.matches);
  for (const name of ["graph", "ledger", "table"]) $(`as-${name}`).setAttribute("aria-pressed", String(name === wanted));
  if (wanted === "table" && !$("table").firstChild) drawTable();
  if (wanted === "graph") drawWires();
};
for (const name of ["graph", "ledger", "table"]) $(`as-${name}`).addEventListener("click", () => view(name));
phone.addEventListener("change", () => view("graph"));
document.querySelector(".skip").addEventListener("click", () => { if (phone.matches) view("ledger"); });

const haystack = [
  ...boxes.slice(1).map((box) => ["box", box.id, box.path, box.kind]),
  ...values.filter((value) => value.box !== undefined && value.made_by === undefined).map((value) => ["leaf", value.id, value.name, value.role]),
  ...ops.map((op) => ["op", op.id, small ? op.saying : `${opName(op)} ${op.makes.map((id) => values[id].name).join(" ")}`, [boxes[op.box].path, siteOf(op) && siteOf(op).code].filter(Boolean).join(" · ")]),
];
const find = () => {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = words.length ? haystack.filter(([, , name, more]) => words.every((word) => `${name} ${more}`.toLowerCase().includes(word))) : [];
  $("found").hidden = !words.length;
  $("found").replaceChildren(...hits.slice(0, 12).map(([kind, id, name, more]) => el("li", {}, el("button", { type: "button",
    onclick: () => { $("found").hidden = true; view("graph"); goTo(kind, id); } }, el("b", {}, name), el("small", {}, more)))),
    el("li", { class: "quiet", role: "status" }, hits.length ? hits.length > 12 ? `and ${hits.length - 12} more` : plural(hits.length, "place") : "Nothing is called so."));
};
$("search").addEventListener("input", find);
$("search").addEventListener("keydown", (event) => {
  const first = $("found").querySelector("button");
  if (event.key === "Enter" && first) first.click();
  if (event.key === "ArrowDown" && first) { event.preventDefault(); first.focus(); }
});
$("found").addEventListener("keydown", (event) => {
  const item = event.target.closest("li"), to = { ArrowDown: item.nextElementSibling, ArrowUp: item.previousElementSibling }[event.key];
  if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
  event.preventDefault();
  (to && to.querySelector("button") || $("search")).focus();
});
document.addEventListener("pointerdown", (event) => { if (!event.target.closest(".search")) $("found").hidden = true; });

slider.max = steps.length;
$("walk").hidden = steps.length === 0;
slider.addEventListener("input", () => { stop(); walkTo(+slider.value); });
$("first").addEventListener("click", () => { stop(); walkTo(0); });
$("back").addEventListener("click", () => { stop(); walkTo(at - 1); });
$("forth").addEventListener("click", () => { stop(); walkTo(at + 1); });
$("play").addEventListener("click", play);
$("fold").addEventListener("click", () => { unfoldDepth(0); drawGraph(); });
$("unfold").addEventListener("click", () => {
  const deepest = Math.min(...boxes.filter((box) => !unfolded.has(box.id)).map((box) => depthOf(box.id)));
  if (Number.isFinite(deepest)) { for (const box of boxes) if (depthOf(box.id) === deepest) unfolded.add(box.id); drawGraph(); }
});
$("smaller").addEventListener("click", () => setZoom(zoom / 1.2));
$("larger").addEventListener("click", () => setZoom(zoom * 1.2));
$("fit").addEventListener("click", () => fitWidth());
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not(#slider), ul#found")) {
    if (event.key === "Escape") { $("found").hidden = true; event.target.blur(); }
    return;
  }
  const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: steps.length };
  if (event.key === "/") { event.preventDefault(); $("search").focus(); }
  else if (event.key === "Escape") { if (panel.classList.contains("up") && getComputedStyle(panel).position === "fixed") closePanel(); else { stop(); walkTo(0); } }
  else if (event.key in moves && steps.length) { event.preventDefault(); stop(); walkTo(moves[event.key]); }
});

// A page opened from a file may have no storage; then the choice lasts as long as the page.
const remembered = (theme) => {
  try { return theme ? localStorage.setItem("theme", theme) : localStorage.getItem("theme"); } catch { return null; }
};
const saved = remembered();
if (saved === "light" || saved === "dark") document.documentElement.dataset.theme = saved;
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  remembered(document.documentElement.dataset.theme);
  drawHeats();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawHeats);
addEventListener("resize", drawWires);
addEventListener("beforeprint", toPaper);
addEventListener("afterprint", fromPaper);

unfoldDepth(canvas.dataset.depth === "" ? firstDepth() : +canvas.dataset.depth);
drawLedger();
drawGraph();
fitWidth();
walkTo(0);
if (picture.suspect !== undefined) goTo("op", picture.suspect);
else if (followed) choose("leaf", followed.value, { sheet: false });
else if (picture.loss !== undefined && values[picture.loss].made_by !== undefined) choose("op", values[picture.loss].made_by, { sheet: false });
new ResizeObserver(drawWires).observe(pane);
