"use strict";
// Walks the page: arrow keys, buttons, and the links between steps.
(() => {
  const steps = [...document.querySelectorAll(".step")];
  const place = document.getElementById("place"), back = document.getElementById("back"), forth = document.getElementById("forth");
  const total = place.textContent;
  let at = -1;
  const show = (wanted, { focus = true } = {}) => {
    if (at >= 0) steps[at].removeAttribute("aria-current");
    at = Math.max(-1, Math.min(steps.length - 1, wanted));
    place.textContent = at < 0 ? total : `step ${at + 1} of ${steps.length}`;
    back.disabled = at < 0;
    forth.disabled = at === steps.length - 1;
    if (at < 0) return;
    const step = steps[at], calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    step.setAttribute("aria-current", "step");
    step.closest("details").open = true;
    step.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
    if (focus) step.focus({ preventScroll: true });
  };
  back.addEventListener("click", () => show(at - 1, { focus: false }));
  forth.addEventListener("click", () => show(at + 1, { focus: false }));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: steps.length - 1, Escape: -1 };
    if (!(event.key in moves) || !steps.length) return;
    event.preventDefault();
    show(moves[event.key]);
  });
  const followHash = () => {
    const found = steps.findIndex((step) => `#${step.id}` === location.hash);
    if (found >= 0) show(found);
  };
  addEventListener("hashchange", followHash);
  addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
  show(-1);
  followHash();
})();
