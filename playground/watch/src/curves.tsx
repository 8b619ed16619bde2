// The charts of the run that is looked at, with others laid over it.

import { useEffect, useMemo, useState } from "preact/hooks";
import { Chart, type Drawn, type Expected, type Guide, type Zoom } from "./chart";
import { type Axis, between, places, raw, rangeOf, type Scale, smoothed, spanOf } from "./curve";
import { colourOf } from "./ink";
import { coarse, looks, refined, type Columns, type Head, type Part, type Piece, type Run } from "./run";
import { type Source } from "./source";
import { count } from "./words";

export interface Shown {
  id: string;
  name: string;
  run: Run;
}

interface Props {
  source: Source;
  focus: Shown;
  beside: Shown[];
  earlier: Run[];
  /** What needs no model, measured on the same text by a run that has ended. */
  baselines: Record<string, number>;
}

const AXES: [Axis, string][] = [["step", "Steps"], ["tokens", "Tokens"], ["flops", "FLOPs"], ["seconds", "Time"]];
const SCALES: [Scale, string, string][] = [
  ["zoom", "Zoom", "The first fortieth of the way may leave the picture"],
  ["all", "All", "With every line and every value"],
  ["log", "Log", "By ratios, both ways"],
];
const SHARES = [0, 0.003, 0.01, 0.03, 0.1];
const SMALL: [string, string, boolean][] = [["lr", "Learning rate", true], ["grad_norm", "Gradient norm", false], ["tokens_per_second", "Tokens per second", true]];

export function Curves({ source, focus: whole, beside, earlier, baselines }: Props) {
  const [axis, setAxis] = useState<Axis>("step");
  const [scale, setScale] = useState<Scale>("zoom");
  const [share, setShare] = useState(3);
  const [zoom, setZoom] = useState<Zoom>(null);
  const [at, setAt] = useState<number | null>(null);
  const closer = useCloser(source, whole, axis, zoom);
  const focus = useMemo(() => ({ ...whole, run: { ...whole.run, train: closer ?? whole.run.train } }), [whole.run, closer]);
  const { run } = focus;
  const rows = run.train.count.reduce((sum, n) => sum + n, 0);
  const span = spanOf(rows, SHARES[share] ?? 0);
  const chosen = { axis, scale, zoom, onZoom: setZoom, at, onAt: setAt };
  const versions = [run.version, run.train.count.length, axis, span, ...beside.map((one) => `${one.id} ${one.run.version}`)].join();
  const earlierVersions = earlier.map((one) => one.version).join();
  const loss = useMemo(() => lossLines(focus, beside, axis, span), [versions]);
  const bits = useMemo(() => bitsLines(focus, beside, axis), [versions]);
  const small = useMemo(() => SMALL.map(([name]) => smallLines(run, name, axis, span)), [versions]);
  const taught = useMemo(() => taughtCharts(run, axis), [versions]);
  const ranges = useMemo(() => ["val_loss", "val_bits_per_byte"].map((name) => rangeOf(earlier, name, axis)), [earlierVersions, axis]);
  const guides = useMemo(() => guidesOf(run, baselines), [run.version, JSON.stringify(baselines)]);
  const expected = useMemo(() => [expectedAt(run, "loss", axis), expectedAt(run, "bits", axis)], [run.version, axis, run.last?.step]);
  const most = ranges[0]?.runs ?? 0;
  if (!run.train.count.length && !run.heldOut.count.length) return <p class="quiet">No step has been logged yet.</p>;
  return (
    <section aria-labelledby="curves-title">
      <h2 id="curves-title">How it learns</h2>
      <div class="switches">
        <Choice label="Horizontal axis" value={axis} choices={run.head?.flops_per_token ? AXES : AXES.filter(([one]) => one !== "flops")} onChange={(one) => (setZoom(null), setAxis(one))} />
        <Choice label="Scale" value={scale} choices={SCALES} onChange={(one) => (setZoom(null), setScale(one))} />
        <label class="smoothing">
          Smoothing
          <input type="range" min={0} max={SHARES.length - 1} value={share} aria-valuetext={smoothingText(span)} onInput={(event) => setShare(+event.currentTarget.value)} />
          <span>{smoothingText(span)}</span>
        </label>
      </div>
      <div class="charts">
        <Chart {...chosen} title={`Loss, ${run.head?.unit ?? "nats per token"}`} lines={loss} guides={guides.loss} range={ranges[0]} expected={expected[0]} height={320} />
        <Chart {...chosen} title="Bits per held-out byte" lines={bits} guides={guides.bits} range={ranges[1]} expected={expected[1]} height={320} />
      </div>
      <p class="quiet legend">
        <Key colour="train" words="training: raw rows thin, their smoothing thick" />
        <Key colour="held" words="held out" />
        {beside.map(({ id, name }, place) => (
          <Key key={id} colour={colourOf(place)} words={name} />
        ))}
        {most > 0 && <Key colour={most > 1 ? "band" : "quiet"} words={most > 1 ? `between ${most} earlier runs on this text, held out` : "an earlier run on this text, held out"} thick={most > 1} />}
        {expected.some(Boolean) && (
          <span>
            Ring: the end that is expected, by a straight line of ln loss over ln tokens through the last looks. Of 225 such forecasts 214 held within the bar.
          </span>
        )}
        {run.train.count.some((n) => n > 1) && <span>Of {count(rows)} rows neighbours are drawn as one stroke from their lowest to their highest.</span>}
      </p>
      <div class="charts small">
        {SMALL.map(([name, title, zero], place) => (
          <Chart key={name} {...chosen} title={title} lines={small[place] ?? []} zero={zero} height={170} />
        ))}
      </div>
      {taught.length > 0 && (
        <>
          <h3>What it was taught</h3>
          <div class="charts small">
            {taught.map(({ title, lines }) => (
              <Chart key={title} {...chosen} title={title} lines={lines} height={170} />
            ))}
          </div>
        </>
      )}
    </section>
  );
}

const CLOSER_MS = 250;

/** The columns of the run with the part that is looked at in finer buckets, once they came; null before, and where none are finer. */
function useCloser(source: Source, { id, run }: Shown, axis: Axis, zoom: Zoom): Columns | null {
  const [found, setFound] = useState<{ of: string; part: Part; piece: Piece } | null>(null);
  const part = useMemo(() => (zoom && source.live ? coarse(run.train, places(run.train, axis, run.head), zoom) : null), [run.train, axis, zoom?.join()]);
  const wanted = part && `${id} ${part.from} ${part.to} ${part.after} ${part.until}`;
  useEffect(() => {
    if (!wanted || !part) return;
    let current = true;
    // A zoom that is followed by another asks once.
    const timer = setTimeout(async () => {
      const piece = await source.part(id, part).catch(() => null);
      if (piece?.count.length && current) setFound({ of: wanted, part, piece });
    }, CLOSER_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [wanted]);
  return useMemo(() => (found && found.of === wanted ? refined(run.train, found.part, found.piece) : null), [found, wanted, run.train]);
}

/** What a fine-tuning is looked at for; its looks stand where the training stood at their steps. */
function taughtCharts({ head, train }: Run, axis: Axis): { title: string; lines: Drawn[] }[] {
  const at = places(train, axis, head);
  const place = (step: number) => (axis === "step" ? step : (between({ x: train.step, y: at }, step) ?? (step <= (train.step[0] ?? 0) ? 0 : (at.at(-1) ?? 0))));
  return (head?.taught ?? []).map(({ title, lines }) => ({
    title,
    lines: lines.map(({ name, step, value }, n) => ({ label: lines.length > 1 ? name : "", colour: n ? "train" : "held", width: 1.5, x: step.map(place), y: value, marks: true, told: true, fits: true })),
  }));
}

const smoothingText = (span: number) => (span ? `moving average (EMA) over ${count(span)} rows, bias-corrected` : "none");

export function Choice<T extends string>({ label, value, choices, onChange }: { label: string; value: T; choices: (readonly [T, string, string?])[]; onChange: (value: T) => void }) {
  return (
    <div class="switch" role="group" aria-label={label}>
      {choices.map(([one, words, title]) => (
        <button key={one} type="button" title={title} aria-pressed={one === value} onClick={() => onChange(one)}>
          {words}
        </button>
      ))}
    </div>
  );
}

function Key({ colour, words, thick }: { colour: string; words: string; thick?: boolean }) {
  return (
    <span class="of-key">
      <i class={`fill-${colour}${thick ? " thick" : ""}`} />
      {words}
    </span>
  );
}

function lossLines({ run }: Shown, beside: Shown[], axis: Axis, span: number): Drawn[] {
  const x = places(run.train, axis, run.head);
  const heldOut = places(run.heldOut, axis, run.head);
  const others = beside.map(({ name, run: other }, place): Drawn => {
    const at = places(other.train, axis, other.head);
    return { label: name, colour: colourOf(place), width: 1.5, x: at, y: smoothed(other.train, "loss", span), told: true, fits: beside.length < 8 };
  });
  const noisy = span > 0;
  return [
    ...others,
    { ...raw(run.train, "loss", x), label: "raw", colour: "train", width: noisy ? 1 : 1.5, alpha: noisy ? 0.35 : 1, fits: true },
    { label: "training", colour: "train", width: 2, x, y: smoothed(run.train, "loss", span), told: true, fits: true },
    { label: "held out", colour: "held", width: 2, x: heldOut, y: looks(run, "val_loss"), marks: true, told: true, fits: true },
  ];
}

function bitsLines({ run }: Shown, beside: Shown[], axis: Axis): Drawn[] {
  const line = (other: Run) => ({ x: places(other.heldOut, axis, other.head), y: looks(other, "val_bits_per_byte") });
  const others = beside.map(({ name, run: other }, place): Drawn => ({ ...line(other), label: name, colour: colourOf(place), width: 1.5, told: true, fits: beside.length < 8 }));
  return [...others, { ...line(run), label: "held out", colour: "held", width: 2, marks: true, told: true, fits: true }];
}

function smallLines(run: Run, name: string, axis: Axis, span: number): Drawn[] {
  const x = places(run.train, axis, run.head);
  const path = { ...raw(run.train, name, x), label: "", colour: "train", fits: true };
  if (name === "lr" || !span) return [{ ...path, width: 1.5, told: true }];
  return [{ ...path, width: 1, alpha: 0.35 }, { label: "", colour: "train", width: 1.5, x, y: smoothed(run.train, name, span), told: true, fits: true }];
}

/** Lines that need no model: in bits per byte, and in the loss's own unit where a look tells how those two go together. */
function guidesOf(run: Run, baselines: Record<string, number>): { loss: Guide[]; bits: Guide[] } {
  const [loss, bits] = [looks(run, "val_loss").at(-1), looks(run, "val_bits_per_byte").at(-1)];
  const guesses: Guide[] = run.head?.vocab_size ? [{ name: `guessing (ln ${count(run.head.vocab_size)})`, value: Math.log(run.head.vocab_size) }] : [];
  const counted = Object.entries(baselines).map(([name, value]) => ({ name, value }));
  const ratio = loss && bits ? loss / bits : null;
  return {
    loss: [...guesses, ...(ratio ? counted.map(({ name, value }) => ({ name, value: value * ratio })) : [])],
    bits: [...(ratio ? guesses.map(({ name, value }) => ({ name, value: value / ratio })) : []), ...counted],
  };
}

/** Where the end stands on an axis, and what is expected there. */
function expectedAt({ head, last }: Run, what: "loss" | "bits", axis: Axis): Expected | null {
  const told = head?.ends[what];
  if (!told) return null;
  const x = {
    step: head.steps,
    tokens: told.tokens,
    flops: head.flops_per_token && told.tokens * head.flops_per_token,
    seconds: last?.seconds !== undefined && last.seconds_left !== undefined ? last.seconds + last.seconds_left : head.seconds,
  }[axis];
  return x ? { x, value: told.value, low: told.low, high: told.high } : null;
}

/** The runs before this one on the same text, which a band may be made of. */
export function isEarlier(own: Head | null, other: Head | null): boolean {
  return own !== null && other !== null && own.text !== null && own.text === other.text;
}
