// The health of a run as pictures: every layer, input at the top, through the run from left to right; darker is larger.

import type { Picture, Verdict } from "./run";
import { clean, compact, count } from "./words";

const SHADES = 10;

export function Pictures({ pictures, verdicts }: { pictures: Picture[]; verdicts: Verdict[] }) {
  if (!pictures.length) return null;
  // Where something is wrong inside, it is open.
  const wrong = verdicts.some(({ mark }) => mark === "bad");
  return (
    <section aria-labelledby="inside-title">
      <h2 id="inside-title">Inside the model</h2>
      <details class="more" open={wrong}>
        <summary>
          {pictures.length} pictures: every layer, the input at the top, through the run from left to right; darker is larger
        </summary>
        <div class="pictures">
          {pictures.map((one) => (
            <Heat key={one.title} {...one} />
          ))}
        </div>
      </details>
    </section>
  );
}

function Heat({ title, rows, steps, cells, log, bounds }: Picture) {
  const known = cells.flat().filter((value): value is number => value !== null && (value > 0 || !log));
  let [low, high] = bounds ?? [known.reduce((a, b) => Math.min(a, b), Infinity), known.reduce((a, b) => Math.max(a, b), -Infinity)];
  if (!(high > -Infinity)) [low, high] = [1, 2];
  // A range narrower than a factor of two is shown as one: noise should not fill the whole scale.
  if (log && high < 2 * low) [low, high] = [Math.sqrt(low * high) / Math.SQRT2, Math.sqrt(low * high) * Math.SQRT2];
  const shade = (value: number) => {
    const share = log ? Math.log(Math.max(value, low) / low) / Math.log(high / low) : (value - low) / (high - low || 1);
    return Math.min(SHADES - 1, Math.max(0, Math.floor(share * SHADES)));
  };
  const paths = Array.from({ length: SHADES }, () => "");
  cells.forEach((row, y) =>
    row.forEach((value, x) => {
      if (value !== null) paths[shade(value)] += `M${x} ${y}h1v1h-1z`;
    }),
  );
  const height = Math.max(4, Math.min(15, Math.floor(340 / Math.max(1, rows.length))));
  const ends = rows.map((name, n) => ({ name: layerName(name), last: cells[n]?.findLast((value) => value !== null) ?? null })).filter(({ last }) => last !== null);
  const most = ends.reduce((a, b) => ((b.last ?? 0) > (a.last ?? 0) ? b : a), ends[0] ?? { name: "", last: null });
  const told = `${title}, ${rows.length} layers, steps ${count(steps[0])} to ${count(steps.at(-1))}; largest at the end in ${most.name}, ${most.last === null ? "unknown" : compact(most.last)}`;
  return (
    <figure class="heat">
      <figcaption>
        <span>{title}</span>
        <span class="quiet">
          {compact(low)} to {compact(high)}
        </span>
      </figcaption>
      <div class="map">
        <svg class="names" width={130} height={height * rows.length} aria-hidden="true">
          {rows.map((name, n) =>
            n % Math.ceil(13 / height) ? null : (
              <text key={name} x={124} y={(n + 0.5) * height + 4} text-anchor="end">
                {layerName(name).slice(0, 20)}
              </text>
            ),
          )}
        </svg>
        <svg class="cells" viewBox={`0 0 ${steps.length} ${rows.length}`} height={height * rows.length} preserveAspectRatio="none" role="img" aria-label={told}>
          {paths.map((d, n) => d && <path key={n} class={`h${n}`} d={d} />)}
        </svg>
      </div>
      <p class="ends">
        <span>step {count(steps[0])}</span>
        <span>{count(steps.at(-1))}</span>
      </p>
    </figure>
  );
}

/** `0 attention` of `blocks.0.attention`, `block 0` of `blocks.0`. */
function layerName(path: string): string {
  const words = clean(path).split(".");
  const place = words.findIndex((word) => /^\d+$/.test(word));
  const kept = place < 0 ? words : words.length > place + 1 ? words.slice(place, place + 2) : ["block", words[place] ?? ""];
  return kept.join(" ").replaceAll("_", " ");
}
