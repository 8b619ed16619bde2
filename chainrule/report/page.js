"use strict";
// The report's only script: curves, the samples' slider, light and dark, copying a command. It loads nothing.
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  // What a person has set survives the page's loading itself again: it stands in the browser's history.
  const kept = (history.state && history.state.report) || {};
  const view = { axis: kept.axis || "step", scale: kept.scale || "zoom", at: null };
  const CHARTS = {
    loss: { lines: "loss", series: [["train", "loss", "train", "training"], ["eval", "val_loss", "held", "held-out"]] },
    bits: { lines: "bits", earlier: "val_bits_per_byte", series: [["eval", "val_bits_per_byte", "held", "held-out"]] },
    sources: { series: figures.sources.names.map((name, i) => ["sources", `s${i}`, `s${i}`, name]) },
    lr: { series: figures.rates.map(([name, factor], i) => ["train", "lr", i ? "held" : "train", name, factor]), whole: true },
    memory: { series: [["phases", "memory_bytes", "train", "processor"], ["phases", "device_bytes", "held", "device"]], zero: true, unit: "bytes" },
    grad_norm: { series: [["train", "grad_norm", "train", ""]] },
    answers: { series: [["taught", "exact", "held", "word for word"], ["taught", "stopped", "train", "end by themselves"]], zero: true },
    base: { series: [["taught", "base", "held", ""]] },
    margin: { series: [["taught", "margin", "held", ""]] },
    judged: { series: [["taught", "chosen", "held", "chosen"], ["taught", "rejected", "train", "rejected"]] },
    tokens_per_second: { series: [["train", "tokens_per_second", "train", ""]], zero: true },
  };
  const remember = (more) => {
    Object.assign(kept, more);
    try { history.replaceState({ report: kept }, ""); } catch { /* a frame without a history of its own */ }
  };
  const MARGIN = { left: 46, right: 8, top: 10, bottom: 24 };

  const compact = (value) => {
    for (const [size, suffix] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])
      if (Math.abs(value) >= size) return `${+(value / size).toPrecision(3)}${suffix}`;
    if (value && Math.abs(value) < 1e-2) return value.toExponential(1).replace("e-", "e−");
    return `${+value.toPrecision(4)}`;
  };
  // Four digits of a number, and three of one that is small: 0.00005208 says less than 5.21e−5.
  const reading = (value) => {
    if (value && Math.abs(value) < 1e-3) return value.toExponential(2).replace("e-", "e−");
    return Math.abs(value) > 1000 ? compact(value) : `${+value.toPrecision(4)}`;
  };
  const bytes = (value) => {
    for (const [size, suffix] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
      if (value >= size) return `${+(value / size).toPrecision(3)} ${suffix}`;
    return `${value} B`;
  };
  const clock = (seconds) => {
    const s = Math.round(seconds), two = (n) => String(n).padStart(2, "0");
    return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))} h` : `${Math.floor(s / 60)}:${two(s % 60)}`;
  };
  const AXES = {
    step: (v) => v >= 1e5 ? compact(v) : Math.round(v).toLocaleString("en"),
    tokens: compact,
    seconds: clock,
  };

  // Points of one series in the chosen axis, without holes; log axes have no place for zero.
  const points = ([table, key, , , factor = 1]) => pairs(figures[table], key, factor);
  const pairs = (table, key, factor = 1) => {
    const xs = table[view.axis] || [], ys = table[key] || [];
    return xs.map((x, i) => [x, ys[i] === null || ys[i] === undefined ? null : ys[i] * factor]).filter(([x, y]) => x !== null && y !== null && (view.scale !== "log" || (x > 0 && y > 0)));
  };
  // Mean of the neighbours on both sides: at the steep start as many on the one as on the other, so that it does not lag.
  const smooth = (line) => {
    const sums = [0];
    for (const [, y] of line) sums.push(sums[sums.length - 1] + y);
    const most = Math.max(2, Math.round(line.length / 80));
    return line.map(([x], i) => {
      const back = Math.min(most, i), end = Math.min(i + back + 1, line.length);
      return [x, (sums[end] - sums[i - back]) / (end - i + back)];
    });
  };
  // Round numbers between two values; `kind` step has whole ones only, seconds those of a clock.
  const steps = (low, high, wanted, kind) => {
    const least = kind === "step" ? 1 : 0;
    const raw = Math.max((high - low) / wanted || 1, least), power = 10 ** Math.floor(Math.log10(raw));
    const nice = kind === "seconds" ? [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400, 864000]
      : kind === "bytes" ? [1, 2, 4].map((m) => m * 2 ** Math.floor(Math.log2(raw))) : [1, 2, 5, 10].map((m) => m * power);
    const size = nice.find((n) => n >= raw) || nice[nice.length - 1];
    const found = [];
    for (let v = Math.ceil(low / size - 1e-9) * size; v <= high + size * 1e-9; v += size) found.push(+v.toPrecision(12));
    return found;
  };
  const logSteps = (low, high, wanted) => {
    if (high / low < 12) return steps(low, high, wanted);
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      for (const m of high / low > 300 ? [1] : [1, 3]) if (m * 10 ** e >= low && m * 10 ** e <= high) found.push(m * 10 ** e);
    return found;
  };

  // Map from a domain to pixels; `log` by ratios.
  const mapping = (low, high, from, to, log) => {
    const f = log ? Math.log : (v) => v, a = f(low), b = f(high);
    return (v) => from + ((f(v) - a) / (b - a || 1)) * (to - from);
  };
  const svg = (name, attributes, parent, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    if (parent) parent.append(element);
    return element;
  };
  const path = (line, x, y) => line.map(([a, b], i) => `${i ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");

  const domain = (chart, lines) => {
    const all = lines.flat(), xs = all.map((p) => p[0]);
    const left = view.scale === "log" ? Math.min(...xs) : 0, right = Math.max(...xs, left + 1e-9);
    // Zoom: the fall of the first fortieth, in which a model only finds out what is frequent, may leave the picture.
    const zoomed = view.scale === "zoom" && !chart.whole ? all.filter((p) => p[0] >= right / 40) : all;
    const ys = (zoomed.length > 1 ? zoomed : all).map((p) => p[1]);
    let bottom = Math.min(...ys), top = Math.max(...ys);
    if (view.scale === "log") return { left, right, bottom: bottom / 1.03, top: top * 1.03 };
    if (view.scale === "all" || chart.zero || chart.whole) bottom = Math.min(0, bottom);
    const margin = (top - bottom || Math.abs(top) || 1) * 0.05;
    return { left, right, bottom: bottom === 0 ? 0 : bottom - margin, top: top + margin };
  };

  const draw = (figure) => {
    const chart = CHARTS[figure.dataset.chart], plot = figure.querySelector(".plot");
    const lines = chart.series.map(points);
    plot.replaceChildren();
    figure.hover = null;
    figure.hidden = lines.every((line) => line.length === 0);
    const width = plot.clientWidth, height = plot.clientHeight, log = view.scale === "log";
    // A plot without a size is not seen, and has no room for anything.
    if (figure.hidden || width <= MARGIN.left + MARGIN.right || height <= MARGIN.top + MARGIN.bottom) return;
    const guides = chart.lines ? figures.lines[chart.lines] : [];
    const faint = chart.earlier ? figures.earlier.map((one) => pairs(one, chart.earlier)).filter((line) => line.length > 1) : [];
    const box = domain(chart, lines);
    const x = mapping(box.left, box.right, MARGIN.left, width - MARGIN.right, log);
    const y = mapping(box.bottom, box.top, height - MARGIN.bottom, MARGIN.top, log);
    const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" }, plot);
    axes(root, box, x, y, width, height, log, chart.unit);
    guideLines(root, guides.filter(([, v]) => v > box.bottom && v < box.top), y, width);
    const id = `clip-${figure.dataset.chart}`;
    const clip = svg("clipPath", { id }, root);
    svg("rect", { x: MARGIN.left, y: 0, width: width - MARGIN.left, height: height - MARGIN.bottom + 1 }, clip);
    const inner = svg("g", { "clip-path": `url(#${id})` }, root);
    for (const line of faint) svg("path", { class: "earlier", d: path(line, x, y) }, inner);
    lines.forEach((line, i) => {
      const [, , name] = chart.series[i], noisy = name === "train" && !chart.whole && line.length > 60;
      svg("path", { class: `${name}${noisy ? " raw" : ""}`, d: path(line, x, y) }, inner);
      if (noisy) svg("path", { class: name, d: path(smooth(line), x, y) }, inner);
      if (name === "held" && line.length <= 60)
        for (const [a, b] of line) svg("circle", { class: name, cx: x(a), cy: y(b), r: 3 }, inner);
    });
    figure.hover = { lines, x, y, box, cursor: svg("g", {}, root), bottom: height - MARGIN.bottom };
    point(figure);
  };
  const axes = (root, box, x, y, width, height, log, unit) => {
    const rows = (log ? logSteps : steps)(box.bottom, box.top, height > 200 ? 6 : 3, unit);
    for (const v of rows) {
      svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(v), y2: y(v) }, root);
      svg("text", { x: MARGIN.left - 8, y: y(v) + 4, "text-anchor": "end" }, root, unit === "bytes" ? bytes(v) : compact(v));
    }
    const wanted = Math.max(3, Math.floor(width / 110));
    const columns = log ? logSteps(box.left, box.right, wanted) : steps(box.left, box.right, wanted, view.axis);
    for (const v of columns) {
      const anchor = x(v) > width - 24 ? "end" : x(v) < MARGIN.left + 8 ? "start" : "middle";
      svg("text", { x: x(v), y: height - 6, "text-anchor": anchor }, root, AXES[view.axis](v));
    }
  };
  const guideLines = (root, guides, y, width) => {
    let taken = -1e9;
    for (const [name, value] of [...guides].sort((a, b) => b[1] - a[1])) {
      const at = y(value), label = Math.max(at - 5, taken + 13);
      taken = label;
      svg("line", { class: "guide", x1: MARGIN.left, x2: width - MARGIN.right, y1: at, y2: at }, root);
      svg("text", { class: "over", x: width - MARGIN.right, y: label, "text-anchor": "end" }, root, `${name} ${value.toFixed(2)}`);
    }
  };

  // The read-out: values at the pointer, or the last ones.
  const nearest = (line, at) => line.reduce((best, p) => (Math.abs(p[0] - at) <= Math.abs(best[0] - at) ? p : best), line[0]);
  const point = (figure) => {
    const { lines, x, y, cursor, bottom } = figure.hover, chart = CHARTS[figure.dataset.chart];
    const readout = figure.querySelector(".readout");
    cursor.replaceChildren();
    readout.replaceChildren();
    const anchor = lines.find((line) => line.length);
    const at = view.at === null ? anchor[anchor.length - 1][0] : nearest(anchor, view.at)[0];
    if (view.at !== null) {
      svg("line", { class: "cross", x1: x(at), x2: x(at), y1: MARGIN.top, y2: bottom }, cursor);
      readout.append(`${view.axis === "seconds" ? "" : `${view.axis} `}${AXES[view.axis](at)} `);
    }
    chart.series.forEach(([, , name, words], i) => {
      if (!lines[i].length) return;
      const [px, py] = nearest(lines[i], at), part = document.createElement("span");
      part.className = name;
      part.textContent = ` ${words} ${chart.unit === "bytes" ? bytes(py) : reading(py)}`;
      readout.append(part);
      if (view.at !== null) svg("circle", { class: name, cx: x(px), cy: y(py), r: 4 }, cursor);
    });
  };
  const drawn = [...document.querySelectorAll("[data-chart]")];
  const pointAll = (at) => {
    view.at = at;
    for (const figure of drawn) if (!figure.hidden && figure.hover) point(figure);
  };
  const drawAll = () => { for (const figure of drawn) { figure.hidden = false; draw(figure); } };

  for (const figure of drawn) {
    const plot = figure.querySelector(".plot");
    plot.addEventListener("pointermove", (event) => {
      if (!figure.hover) return;
      const { box } = figure.hover, shown = plot.getBoundingClientRect();
      const share = (event.clientX - shown.left - MARGIN.left) / (shown.width - MARGIN.left - MARGIN.right);
      const kept = Math.min(1, Math.max(0, share));
      pointAll(view.scale === "log" ? box.left * (box.right / box.left) ** kept : box.left + kept * (box.right - box.left));
    });
    plot.addEventListener("pointerleave", () => pointAll(null));
    plot.addEventListener("blur", () => pointAll(null));
    plot.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (event.key === "Escape") pointAll(null);
      if (!move || !figure.hover) return;
      event.preventDefault();
      const { box } = figure.hover, size = (box.right - box.left) / 100;
      pointAll(Math.min(box.right, Math.max(box.left, (view.at ?? box.right) + move * size)));
    });
  }
  for (const group of document.querySelectorAll("[data-switch]"))
    group.addEventListener("click", (event) => {
      const chosen = event.target.closest("button");
      if (!chosen) return;
      for (const button of group.children) button.setAttribute("aria-pressed", String(button === chosen));
      view[group.dataset.switch] = chosen.dataset.value;
      view.at = null;
      remember({ axis: view.axis, scale: view.scale });
      drawAll();
    });
  for (const group of document.querySelectorAll("[data-switch]"))
    for (const button of group.children) button.setAttribute("aria-pressed", String(button.dataset.value === view[group.dataset.switch]));
  if (drawn.length) new ResizeObserver(drawAll).observe(drawn[0]);

  // Paper has another width, opens nothing, and cannot be scrolled.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const part of opened) part.open = true;
    document.documentElement.classList.add("paper");
    view.at = null;
    drawAll();
  });
  addEventListener("afterprint", () => {
    for (const part of opened) part.open = false;
    document.documentElement.classList.remove("paper");
    drawAll();
  });

  const slider = document.getElementById("round");
  if (slider) {
    const rounds = [...document.querySelectorAll(".round")];
    const play = document.getElementById("play");
    let timer = null;
    const show = () => {
      remember({ round: +slider.value === rounds.length - 1 ? null : rounds[+slider.value].dataset.step });
      rounds.forEach((round, i) => { round.hidden = i !== +slider.value; });
      document.getElementById("round-step").textContent = `step ${(+rounds[+slider.value].dataset.step).toLocaleString("en")}`;
    };
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "▶"; };
    slider.addEventListener("input", () => { stop(); show(); });
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (+slider.value === rounds.length - 1) slider.value = 0;
      show();
      play.textContent = "❚❚";
      timer = setInterval(() => {
        slider.value = +slider.value + 1;
        show();
        if (+slider.value === rounds.length - 1) stop();
      }, 900);
    });
    // The newest round, unless an older one was being read.
    const before = rounds.findIndex((round) => round.dataset.step === kept.round);
    slider.value = before < 0 ? rounds.length - 1 : before;
    if (before >= 0) show();
  }

  // A page opened from a file may have no storage; then the choice lasts as long as the page.
  const root = document.documentElement;
  const remembered = (value) => {
    try { return value ? localStorage.setItem("theme", value) : localStorage.getItem("theme"); } catch { return null; }
  };
  const saved = remembered();
  if (saved === "light" || saved === "dark") root.dataset.theme = saved;
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remembered(root.dataset.theme);
  });

  for (const button of document.querySelectorAll(".copy"))
    button.addEventListener("click", async () => {
      const source = button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        getSelection().selectAllChildren(source);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });

  // While the run goes on its page is written again and again. What is being read, chosen or printed is left alone.
  const since = +document.documentElement.dataset.running;
  if (since) {
    const EVERY = 10, GIVEN_UP = 900;
    const news = document.getElementById("news");
    const age = () => Date.now() / 1000 - since;
    const told = () => {
      const minutes = Math.floor(age() / 60), ago = minutes < 1 ? "less than a minute ago" : minutes === 1 ? "a minute ago" : `${minutes} minutes ago`;
      news.textContent = age() > GIVEN_UP ? `Written ${ago}: the run may have ended without a word. chainrule report writes the page anew.`
        : `Written ${ago}; this page loads itself again while the run goes on.`;
    };
    for (const part of document.querySelectorAll("details")) {
      const name = part.querySelector("summary").textContent;
      if ((kept.open || []).includes(name)) part.open = true;
      part.addEventListener("toggle", () => remember({ open: [...document.querySelectorAll("details[open] > summary")].map((one) => one.textContent) }));
    }
    if (kept.scroll) scrollTo({ top: kept.scroll, behavior: "instant" });
    told();
    setInterval(() => {
      told();
      const busy = document.hidden || view.at !== null || !getSelection().isCollapsed || document.documentElement.classList.contains("paper");
      if (busy || age() > GIVEN_UP) return;
      remember({ scroll: scrollY });
      location.reload();
    }, EVERY * 1000);
  }
})();
