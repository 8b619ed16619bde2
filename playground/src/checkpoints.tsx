// A slider over the checkpoints of a run, under the curve that they lie on.

import { useId } from "preact/hooks";
import type { Point, Run } from "./lens";

interface Props {
  run: Run;
  /** The name of the checkpoint that writes. */
  chosen: string;
  /** Names of those whose answer to the last prompt is there. */
  written: string[];
  /** Whether there is a prompt that could be written at every step. */
  prompted: boolean;
  busy: boolean;
  name: string;
  onSlide: (id: string) => void;
  onEvery: () => void;
}

const [WIDTH, HEIGHT] = [400, 72];
// Per cent of the curve.
const LEAST_WIDTH = 40;
const count = new Intl.NumberFormat("en");

export function Checkpoints({ run, chosen, written, prompted, busy, name, onSlide, onEvery }: Props) {
  const label = useId();
  const { checkpoints } = run;
  const place = Math.max(0, checkpoints.findIndex(({ id }) => id === chosen));
  const here = checkpoints[place];
  if (!here) return null;
  const said = [
    `step ${count.format(here.step)}`,
    here.loss === null ? "held-out loss not measured here" : `held-out loss ${here.loss.toFixed(3)}`,
    ...(here.bits === null ? [] : [`${here.bits.toFixed(3)} bits per byte`]),
  ];
  const n = checkpoints.filter(({ id }) => written.includes(id)).length;
  return (
    <div class="checkpoints" role="group" aria-labelledby={label}>
      <p id={label} class="hidden">
        Checkpoints of {run.model}, {name}
      </p>
      <Curve run={run} step={here.step} written={written} />
      <input
        type="range"
        min={0}
        max={checkpoints.length - 1}
        step={1}
        value={place}
        style={beneath(run)}
        aria-label={`Checkpoint of ${run.model}`}
        aria-valuetext={said.join(", ")}
        onInput={(event) => {
          const wanted = checkpoints[event.currentTarget.valueAsNumber];
          if (wanted && wanted.id !== chosen) onSlide(wanted.id);
        }}
      />
      <div class="under">
        <p class="quiet">
          <b>{said[0]}</b> · {said.slice(1).join(" · ")}
        </p>
        <button type="button" disabled={busy || !prompted || n === checkpoints.length} onClick={onEvery}>
          Write at every step
        </button>
      </div>
      {prompted && (
        <p class="hidden" role="status">
          {n} of {checkpoints.length} checkpoints have answered
        </p>
      )}
    </div>
  );
}

/** Where the slider stands so that its ends are under the first and the last checkpoint; half its knob is 8 pixels wide. */
function beneath(run: Run) {
  const last = lastStep(run);
  const [left, right] = [run.checkpoints[0]?.step ?? 0, run.checkpoints.at(-1)?.step ?? last].map((step) => (100 * step) / last) as [number, number];
  // Two checkpoints at the end of a long run would leave it no length to be moved on.
  if (right - left < LEAST_WIDTH) return {};
  return { marginLeft: `calc(${left}% - 8px)`, width: `calc(${right - left}% + 16px)` };
}

function lastStep({ train, heldOut, checkpoints }: Run): number {
  return Math.max(1, ...[...train, ...heldOut].map(([step]) => step), ...checkpoints.map(({ step }) => step));
}

/** The loss over the steps: training quiet, held-out in colour, a tick for each checkpoint, a line at the chosen one. */
function Curve({ run, step, written }: { run: Run; step: number; written: string[] }) {
  const all = [...run.train, ...run.heldOut];
  if (all.length < 2) return null;
  const losses = all.map(([, loss]) => loss);
  const [last, low, high] = [lastStep(run), Math.min(...losses), Math.max(...losses)];
  const x = (at: number) => (WIDTH * at) / last;
  const y = (loss: number) => 4 + ((HEIGHT - 12) * (high - loss)) / Math.max(1e-9, high - low);
  const line = (points: Point[]) => points.map(([at, loss]) => `${x(at).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  const told = `Loss over ${count.format(last)} steps, between ${high.toFixed(2)} and ${low.toFixed(2)}; step ${count.format(step)} is chosen`;
  return (
    <div class="curve">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={told}>
        <polyline class="train" points={line(run.train)} />
        <polyline class="held-out" points={line(run.heldOut)} />
        {run.checkpoints.map((one) => (
          <line key={one.id} class={written.includes(one.id) ? "tick written" : "tick"} x1={x(one.step)} x2={x(one.step)} y1={HEIGHT - 6} y2={HEIGHT} />
        ))}
        <line class="here" x1={x(step)} x2={x(step)} y1={0} y2={HEIGHT} />
      </svg>
      <span class="high">{high.toFixed(2)}</span>
      <span class="low">{low.toFixed(2)}</span>
      <span class="key" aria-hidden="true">
        <i class="train" /> training <i class="held-out" /> held-out loss
      </span>
    </div>
  );
}
