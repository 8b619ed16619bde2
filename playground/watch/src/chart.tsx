// One chart: uPlot has the scales, axes, pointer and zoom; what is drawn on it is drawn here, because every run has places
// of its own on the axis, and fifty of them would make one common column of places very long.

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { between, type Axis, type Path, type Range, type Scale } from "./curve";
import { ink, onInk } from "./ink";
import { clock, compact, count, duration } from "./words";

export interface Drawn extends Path {
  label: string;
  colour: string;
  width: number;
  alpha?: number;
  /** Marks at its points. */
  marks?: boolean;
  /** Whether it is told at the pointer. */
  told?: boolean;
  /** Whether it decides how far the vertical axis reaches; the others may leave the picture. */
  fits?: boolean;
}

export interface Guide {
  name: string;
  value: number;
}

export interface Expected {
  x: number;
  value: number;
  low: number;
  high: number;
}

export interface Props {
  title: string;
  axis: Axis;
  scale: Scale;
  lines: Drawn[];
  guides?: Guide[];
  range?: Range | null;
  expected?: Expected | null;
  height: number;
  /** The vertical axis begins at zero. */
  zero?: boolean;
  /** The part that is looked at; all charts of one axis show the same. */
  zoom: Zoom;
  onZoom: (zoom: Zoom) => void;
  /** The place that is pointed at, in all of them at once. */
  at: number | null;
  onAt: (at: number | null) => void;
}

export type Zoom = [number, number] | null;

const AXIS_WORDS: Record<Axis, string> = { step: "step", tokens: "tokens", flops: "FLOPs", seconds: "time" };

export const placeText = (axis: Axis, value: number): string => (axis === "seconds" ? clock(value) : axis === "step" ? count(value) : compact(value));

export function Chart(props: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const now = useRef(props);
  now.current = props;
  const { at, onAt } = props;
  const [byKey, setByKey] = useState(false);

  useEffect(() => {
    const place = holder.current;
    if (!place) return;
    const made = new uPlot(options(now, place.clientWidth), table(now.current), place);
    plot.current = made;
    const fit = () => place.clientWidth && made.setSize({ width: place.clientWidth, height: now.current.height });
    const watcher = new ResizeObserver(fit);
    watcher.observe(place);
    const end = onInk(() => made.redraw(false, true));
    return () => {
      end();
      watcher.disconnect();
      plot.current = null;
      made.destroy();
    };
  }, [props.axis, props.scale, props.height]);
  // Not at every move of the pointer.
  useEffect(() => plot.current?.setData(table(props)), [props.lines, props.guides, props.range, props.expected, props.zoom]);

  useEffect(() => {
    const made = plot.current;
    const left = at === null || !made ? -10 : made.valToPos(at, "x");
    if (made && Math.abs(left - (made.cursor.left ?? -10)) > 0.5) made.setCursor({ left, top: at === null ? -10 : 1 }, false);
  }, [at]);

  const move = (event: KeyboardEvent) => {
    const made = plot.current;
    const { min, max } = made?.scales.x ?? {};
    if (!made || min == null || max == null) return;
    const moves: Record<string, number> = { ArrowLeft: -0.01, ArrowRight: 0.01, Home: -1, End: 1, PageUp: -0.1, PageDown: 0.1 };
    if (event.key === "Escape") {
      setByKey(false);
      onAt(null);
      return props.onZoom(null);
    }
    const by = moves[event.key];
    if (by === undefined) return;
    event.preventDefault();
    setByKey(true);
    const wide = made.over.clientWidth;
    const from = at === null ? (by < 0 ? wide : 0) : made.valToPos(at, "x");
    onAt(made.posToVal(Math.min(wide - 1, Math.max(0, from + by * wide)), "x"));
  };
  const readout = told(props, at);
  return (
    <figure class="chart">
      <figcaption>
        <span>{props.title}</span>
        <output aria-live={byKey ? "polite" : "off"}>
          {readout.place}
          {readout.values.map(({ label, text, colour }) => (
            <span key={label} class={`ink-${colour}`}>
              {" "}
              {label} {text}
            </span>
          ))}
        </output>
      </figcaption>
      <div
        ref={holder}
        class="plot"
        tabIndex={0}
        role="img"
        aria-label={summary(props)}
        onKeyDown={move}
        onBlur={() => (setByKey(false), onAt(null))}
        onDblClick={() => props.onZoom(null)}
      />
      {props.zoom && <p class="quiet">A part of it; Escape or a double click shows all.</p>}
      <Table {...props} />
    </figure>
  );
}

/** uPlot's own columns: only the places that its pointer can stop at. */
function table({ lines }: Props): uPlot.AlignedData {
  const first = lines.find((one) => one.told && one.x.length) ?? lines.find((one) => one.x.length);
  return first ? [first.x, first.y] : [[0, 1], [null, null]];
}

function extent({ lines, expected, range, scale }: Props): { min: number; max: number } {
  const log = scale === "log";
  let [min, max] = [log ? Infinity : 0, -Infinity];
  for (const { x } of lines) {
    for (let n = 0; log && n < x.length; n++)
      if ((x[n] ?? 0) > 0) {
        min = Math.min(min, x[n] ?? min);
        break;
      }
    max = Math.max(max, x.at(-1) ?? max);
  }
  if (range?.x.length && !lines.some((one) => one.x.length)) max = range.x.at(-1) ?? max;
  if (expected) max = Math.max(max, expected.x);
  if (!(max > min)) return { min: log ? 1 : 0, max: log ? 10 : 1 };
  return { min, max };
}

/** From where to where the horizontal axis reaches. */
function shownOf(props: Props): [number, number] {
  const { min, max } = extent(props);
  return props.zoom ?? [min, max];
}

/** From the lowest to the highest value of what decides that, between two places. */
function heights(props: Props, left: number, right: number): [number, number] {
  const { scale, zero, lines, guides, expected } = props;
  // The fall of the first fortieth, in which a model only finds out what is frequent, may leave the picture.
  const whole = extent(props);
  const from = scale === "zoom" && !zero && left <= whole.min ? whole.min + (whole.max - whole.min) / 40 : left;
  let [low, high] = [Infinity, -Infinity];
  const take = (value: number) => ([low, high] = [Math.min(low, value), Math.max(high, value)]);
  const [every, chosen] = [lines.filter((one) => one.fits), (at: number) => at >= from && at <= right];
  for (const only of [chosen, () => true]) {
    for (const { x, y } of every)
      for (let n = 0; n < x.length; n++) {
        const value = y[n];
        if (value !== null && value !== undefined && only(x[n] ?? 0)) take(value);
      }
    if (high > -Infinity) break;
  }
  if (expected && expected.x <= right) [expected.low, expected.high].forEach(take);
  if (scale === "all") (guides ?? []).forEach(({ value }) => take(value));
  if (!(high > -Infinity)) return [0, 1];
  if (scale === "log") return [Math.max(low, 1e-9) / 1.03, high * 1.03];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  return [zero ? Math.min(0, low) : low - margin, high + margin];
}

function options(now: { current: Props }, width: number): uPlot.Options {
  const { axis, scale, height } = now.current;
  const font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
  const distr = scale === "log" ? 3 : 1;
  const look: uPlot.Axis = { stroke: () => ink("quiet"), font, ticks: { show: false } };
  return {
    width: width || 300,
    height,
    legend: { show: false },
    padding: [10, 18, 0, 0],
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, dist: 8, setScale: false } },
    scales: {
      x: {
        time: false,
        distr,
        range: () => shownOf(now.current),
      },
      y: { distr, range: () => heights(now.current, ...shownOf(now.current)) },
    },
    series: [{}, { paths: () => null, points: { show: false } }],
    axes: [
      { ...look, grid: { show: false }, size: 26, space: 90, values: (_u, values) => values.map((v) => (v == null ? "" : placeText(axis, v))) },
      { ...look, grid: { stroke: () => ink("line"), width: 1 }, size: 46, gap: 4, space: 36, values: (_u, values) => values.map((v) => (v == null ? "" : compact(v))) },
    ],
    hooks: {
      drawAxes: [(u) => paint(u, now.current)],
      setCursor: [
        (u) => {
          const left = u.cursor.left ?? -1;
          now.current.onAt(left < 0 ? null : u.posToVal(left, "x"));
        },
      ],
      setSelect: [
        (u) => {
          const { left, width: wide } = u.select;
          if (wide < 8) return;
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          now.current.onZoom([u.posToVal(left, "x"), u.posToVal(left + wide, "x")]);
        },
      ],
    },
  };
}

function paint(u: uPlot, props: Props): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  const [x, y] = [(v: number) => u.valToPos(v, "x", true), (v: number) => u.valToPos(v, "y", true)];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineJoin = "round";
  const { range } = props;
  if (range && range.runs === 1) {
    const colour = { label: "", colour: "quiet", width: 1.5, alpha: 0.5 };
    stroke(ctx, { ...colour, x: range.x, y: range.low }, x, y, u);
  } else if (range && range.x.length > 1) {
    ctx.fillStyle = ink("band");
    ctx.beginPath();
    range.x.forEach((at, n) => ctx.lineTo(x(at), y(range.high[n] ?? 0)));
    for (let n = range.x.length - 1; n >= 0; n--) ctx.lineTo(x(range.x[n] ?? 0), y(range.low[n] ?? 0) + px);
    ctx.fill();
  }
  guideLines(ctx, u, props, y);
  for (const line of props.lines) stroke(ctx, line, x, y, u);
  if (props.expected) expectedEnd(ctx, props, x, y);
  ctx.restore();
}

function stroke(ctx: CanvasRenderingContext2D, line: Drawn, x: (v: number) => number, y: (v: number) => number, u: uPlot): void {
  const px = devicePixelRatio;
  const [left, right] = [u.scales.x?.min ?? -Infinity, u.scales.x?.max ?? Infinity];
  const positive = u.scales.x?.distr === 3;
  ctx.globalAlpha = line.alpha ?? 1;
  ctx.strokeStyle = ctx.fillStyle = ink(line.colour);
  ctx.lineWidth = line.width * px;
  ctx.beginPath();
  let open = false;
  for (let n = 0; n < line.x.length; n++) {
    const [at, value] = [line.x[n] ?? 0, line.y[n]];
    // Outside of a zoom only the nearest neighbours matter, for the line that leads to them.
    if ((line.x[n + 1] ?? Infinity) < left) continue;
    if ((line.x[n - 1] ?? -Infinity) > right) break;
    if (value === null || value === undefined || (positive && (at <= 0 || value <= 0))) {
      open = false;
      continue;
    }
    if (open) ctx.lineTo(x(at), y(value));
    else ctx.moveTo(x(at), y(value));
    open = true;
  }
  ctx.stroke();
  if (line.marks && line.x.length <= 80)
    line.x.forEach((at, n) => {
      const value = line.y[n];
      if (value == null || at < left || at > right || (positive && at <= 0)) return;
      ctx.beginPath();
      ctx.arc(x(at), y(value), 3 * px, 0, 7);
      ctx.fill();
    });
  ctx.globalAlpha = 1;
}

function guideLines(ctx: CanvasRenderingContext2D, u: uPlot, { guides }: Props, y: (v: number) => number): void {
  const [px, { left, width }] = [devicePixelRatio, u.bbox];
  const [low, high] = [u.scales.y?.min ?? 0, u.scales.y?.max ?? 1];
  let taken = -Infinity;
  ctx.font = `${11.5 * px}px ${getComputedStyle(document.body).fontFamily}`;
  ctx.textAlign = "right";
  for (const { name, value } of [...(guides ?? [])].sort((a, b) => b.value - a.value)) {
    if (value <= low || value >= high) continue;
    const at = y(value);
    ctx.strokeStyle = ink("quiet");
    ctx.lineWidth = px;
    ctx.setLineDash([2 * px, 4 * px]);
    ctx.beginPath();
    ctx.moveTo(left, at);
    ctx.lineTo(left + width, at);
    ctx.stroke();
    ctx.setLineDash([]);
    const label = Math.max(at - 5 * px, taken + 14 * px, u.bbox.top + 12 * px);
    taken = label;
    ctx.lineWidth = 4 * px;
    ctx.strokeStyle = ink("paper");
    ctx.strokeText(`${name} ${value.toFixed(2)}`, left + width - 2 * px, label);
    ctx.fillStyle = ink("quiet");
    ctx.fillText(`${name} ${value.toFixed(2)}`, left + width - 2 * px, label);
  }
}

/** From the last look a dotted line to where the run is expected to end, and the interval there. */
function expectedEnd(ctx: CanvasRenderingContext2D, { expected, lines }: Props, x: (v: number) => number, y: (v: number) => number): void {
  const from = lines.find((one) => one.marks && one.x.length);
  if (!expected) return;
  const [px, at] = [devicePixelRatio, x(expected.x) - 4 * devicePixelRatio];
  ctx.strokeStyle = ctx.fillStyle = ink("held");
  ctx.lineWidth = 1.5 * px;
  const [lastX, lastY] = [from?.x.at(-1), from?.y.at(-1)];
  if (lastX !== undefined && lastY != null) {
    ctx.setLineDash([1.5 * px, 4 * px]);
    ctx.beginPath();
    ctx.moveTo(x(lastX), y(lastY));
    ctx.lineTo(at, y(expected.value));
    ctx.stroke();
    ctx.setLineDash([]);
  }
  ctx.beginPath();
  for (const end of [expected.low, expected.high]) {
    ctx.moveTo(at - 4 * px, y(end));
    ctx.lineTo(at + 4 * px, y(end));
  }
  ctx.moveTo(at, y(expected.low));
  ctx.lineTo(at, y(expected.high));
  ctx.stroke();
  ctx.beginPath();
  ctx.arc(at, y(expected.value), 3.5 * px, 0, 7);
  ctx.fillStyle = ink("paper");
  ctx.fill();
  ctx.stroke();
}

/** What stands at a place, or at the end of each line. */
function told({ lines, axis }: Props, at: number | null) {
  const named = lines.filter((one) => one.told && one.x.length).slice(0, 5);
  const values = named.map((line) => {
    const value = at === null ? line.y.findLast((one) => one != null) : between(line, at);
    return { label: line.label, colour: line.colour, text: value == null ? "–" : value > 1000 || (value && Math.abs(value) < 1e-2) ? compact(value) : value.toPrecision(4) };
  });
  return { place: at === null ? "" : `${axis === "seconds" ? "" : `${AXIS_WORDS[axis]} `}${placeText(axis, at)}`, values };
}

function summary(props: Props): string {
  const said = props.lines
    .filter((one) => one.told && one.x.length)
    .map(({ label, y }) => {
      const known = y.filter((one) => one != null);
      return known.length ? `${label || "it"} from ${compact(known[0] ?? 0)} to ${compact(known.at(-1) ?? 0)}` : "";
    });
  const end = props.expected ? `; expected at the end ${props.expected.value.toFixed(3)}, between ${props.expected.low.toFixed(3)} and ${props.expected.high.toFixed(3)}` : "";
  return `${props.title} over ${AXIS_WORDS[props.axis]}: ${said.filter(Boolean).join(", ") || "nothing yet"}${end}. Arrow keys read it; a table follows.`;
}

const N_ROWS = 12;

/** The same in figures, made when it is opened. */
function Table(props: Props) {
  const [open, setOpen] = useState(false);
  const lines = props.lines.filter((one) => one.told && one.x.length);
  const { min, max } = extent(props);
  const last = Math.max(...lines.map(({ x }) => x.at(-1) ?? 0), min);
  const rows = open ? Array.from({ length: N_ROWS }, (_, n) => min + ((Math.min(last, max) - min) * (n + 1)) / N_ROWS) : [];
  return (
    <details class="table" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>As a table</summary>
      {open && (
        <div class="scroll">
          <table>
            <caption class="hidden">{props.title}</caption>
            <thead>
              <tr>
                <th scope="col">{AXIS_WORDS[props.axis]}</th>
                {lines.map(({ label }) => (
                  <th key={label} scope="col">
                    {label || props.title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map((at) => (
                <tr key={at}>
                  <th scope="row">{props.axis === "seconds" ? duration(at) : placeText(props.axis, at)}</th>
                  {lines.map((line) => {
                    const value = between(line, at);
                    return <td key={line.label}>{value === null ? "–" : +value.toPrecision(4)}</td>;
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}
