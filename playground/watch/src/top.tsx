// What a person asks first: is it good, how long still, what to change.

import type { Line, Run, Verdict } from "./run";
import { bytes, clean, compact, count, duration, figure } from "./words";

const SIGNS = { good: "✓", note: "→", bad: "!" };
const SILENT_SECONDS = 90;

export function Top({ line, run, silent }: { line: Line | undefined; run: Run; silent: number }) {
  const { head, last } = run;
  if (!head) return <p class="quiet">Reading …</p>;
  const running = head.status === "running";
  const steps = head.steps ?? line?.steps;
  const step = last?.step ?? line?.step ?? 0;
  const speed = last?.tokens_per_second ?? head.final.tokens_per_second;
  const bits = head.final.bits ?? run.heldOut.figures.val_bits_per_byte?.mean.findLast((one) => one !== null) ?? null;
  const loss = head.final.loss ?? run.heldOut.figures.val_loss?.mean.findLast((one) => one !== null) ?? null;
  const end = head.ends.bits ?? head.ends.loss;
  const left = running ? last?.seconds_left : undefined;
  return (
    <section class="top" aria-label="How it goes">
      <h2>
        {clean(line?.name ?? "")} <span class={`pill ${head.status}`}>{head.status}</span>
      </h2>
      {head.standing && <p class="lead">{head.standing}</p>}
      <FirstVerdict verdicts={head.verdicts} />
      <dl class="tiles">
        <Tile name="bits per byte" value={figure(bits)} note={loss === null ? "of held-out text; less is better" : `held-out loss ${figure(loss)}; less is better`} />
        {running ? (
          <Tile
            name="expected at the end"
            value={end ? figure(end.value) : "–"}
            note={end ? `${figure(end.low)} to ${figure(end.high)}${head.ends.bits ? "" : ", loss"}` : "said after three looks, from a fifth on"}
          />
        ) : (
          <Tile name="tokens" value={last?.tokens ? compact(last.tokens) : "–"} note={`${count(step)} steps`} />
        )}
        {running ? (
          <Tile name="time left" value={duration(left)} note={left === undefined ? "not known yet" : `until ${clockTime(left)}`} />
        ) : (
          <Tile name="time" value={duration(head.final.seconds ?? last?.seconds)} note={head.steps && step < head.steps ? `${count(step)} of ${count(head.steps)} steps` : "all together"} />
        )}
        <Tile name="tokens per second" value={speed ? compact(speed) : "–"} note={last?.peak_share ? `${Math.round(100 * last.peak_share)} % of the machine’s peak` : "while training"} />
        <Tile name="memory" value={bytes(run.held ?? head.memory.planned)} note={`${run.held ? "held now" : "planned"}${head.memory.there ? ` of ${bytes(head.memory.there)}` : ""}`} />
      </dl>
      {running && steps ? (
        <div class="way">
          <progress value={Math.min(step, steps)} max={steps} aria-label="Share of the steps" />
          <span>
            step {count(step)} of {count(steps)}
          </span>
        </div>
      ) : null}
      {running && silent > SILENT_SECONDS && (
        <p class="quiet" role="status">
          No step was logged for {duration(silent)}: it looks at held-out text, saves, waits, or hangs.
        </p>
      )}
      {head.resume && (
        <p class="quiet">
          To go on: <code>{head.resume}</code>
        </p>
      )}
    </section>
  );
}

/** The worst, with what to change; the others folded beneath it. */
function FirstVerdict({ verdicts }: { verdicts: Verdict[] }) {
  const [first, ...others] = verdicts;
  if (!first) return <p class="lead">Nothing can be said of it yet.</p>;
  return (
    <>
      <p class="lead">
        <b class={first.mark} aria-label={first.mark}>
          {SIGNS[first.mark]}
        </b>{" "}
        {first.said} {first.remedy && <strong>{first.remedy}</strong>}
      </p>
      {others.length > 0 && (
        <details class="more">
          <summary>{others.length === 1 ? "One more finding" : `${others.length} more findings`}</summary>
          <ul>
            {others.map(({ mark, said, remedy }) => (
              <li key={said}>
                <b class={mark} aria-label={mark}>
                  {SIGNS[mark]}
                </b>
                <span>
                  {said} {remedy}
                </span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function Tile({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value}
        <small>{note}</small>
      </dd>
    </div>
  );
}

/** When that will be, here. */
function clockTime(seconds: number): string {
  const then = new Date(Date.now() + 1000 * seconds);
  const day = then.toDateString() === new Date().toDateString() ? "" : `${then.toLocaleDateString(undefined, { weekday: "short" })} `;
  return `${day}${then.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" })}`;
}
