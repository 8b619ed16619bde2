// From the columns of a run to lines: along which axis, smoothed how, and the range of runs before it.

import type { Columns, Head, Run } from "./run";

export type Axis = "step" | "tokens" | "flops" | "seconds";
export type Scale = "zoom" | "all" | "log";

export interface Path {
  x: number[];
  y: (number | null)[];
}

/** The places of buckets on an axis; they never go back, whatever a journal says. */
export function places(columns: Columns, axis: Axis, head: Head | null): number[] {
  const raw = axis === "flops" ? columns.tokens.map((tokens) => tokens * (head?.flops_per_token ?? 0)) : columns[axis];
  let most = -Infinity;
  return raw.map((value) => (most = Math.max(most, value)));
}

/** All rows: where a bucket has several, its lowest and its highest, so that no spike is lost. */
export function raw(columns: Columns, name: string, x: number[]): Path {
  const found = columns.figures[name];
  if (!found) return { x: [], y: [] };
  const { mean, low, high } = found;
  if (!low || !high) return { x, y: mean };
  const path: Path = { x: [], y: [] };
  x.forEach((at, n) => {
    if ((columns.count[n] ?? 1) > 1) {
      path.x.push((at + (x[n - 1] ?? at)) / 2, at);
      path.y.push(high[n] ?? null, low[n] ?? null);
    } else {
      path.x.push(at);
      path.y.push(mean[n] ?? null);
    }
  });
  return path;
}

/** How many rows a smoothing reaches back, of so many rows: round numbers, so that it does not creep while a run grows. */
export function spanOf(rows: number, share: number): number {
  const wanted = rows * share;
  if (wanted < 2) return 0;
  const power = 10 ** Math.floor(Math.log10(wanted));
  return power * ([5, 2, 1].find((n) => n * power <= wanted) ?? 1);
}

/**
 * The exponential moving average over `span` rows, corrected for its beginning (Kingma & Ba, 2015, section 3): a row weighs
 * 1/e of the newest when it is `span` rows old, and the first value is the first row's. A bucket counts as its rows.
 */
export function smoothed(columns: Columns, name: string, span: number): (number | null)[] {
  const mean = columns.figures[name]?.mean ?? [];
  if (!span) return mean;
  let [sum, weight, powers] = [0, 0, new Map<number, number>()];
  return mean.map((value, n) => {
    if (value === null) return null;
    const rows = columns.count[n] ?? 1;
    let kept = powers.get(rows);
    if (kept === undefined) powers.set(rows, (kept = Math.exp(-rows / span)));
    sum = kept * sum + (1 - kept) * value;
    weight = kept * weight + (1 - kept);
    return sum / weight;
  });
}

export interface Range {
  x: number[];
  low: number[];
  high: number[];
  runs: number;
}

/** Between which values the held-out figure of earlier runs lay, on the way to where the longest of them ended. */
export function rangeOf(runs: Run[], name: string, axis: Axis, points = 80): Range {
  const paths = runs
    .map(({ heldOut, head }) => ({ x: places(heldOut, axis, head), y: heldOut.figures[name]?.mean ?? [] }))
    .filter(({ x }) => x.length > 1);
  const range: Range = { x: [], low: [], high: [], runs: paths.length };
  const most = Math.max(0, ...paths.map(({ x }) => x.at(-1) ?? 0));
  for (let n = 0; n <= points && most; n++) {
    const at = (most * n) / points;
    const values = paths.map((path) => between(path, at)).filter((value) => value !== null);
    if (!values.length) continue;
    range.x.push(at);
    range.low.push(Math.min(...values));
    range.high.push(Math.max(...values));
  }
  return range;
}

/** A path's value at a place, on the straight line between its points; null outside of it. */
export function between({ x, y }: Path, at: number): number | null {
  let [low, high] = [0, x.length - 1];
  if (high < 0 || at < (x[0] ?? 0) || at > (x[high] ?? 0)) return null;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((x[middle] ?? 0) <= at) low = middle;
    else high = middle;
  }
  const [left, right, a, b] = [x[low] ?? 0, x[high] ?? 0, y[low] ?? null, y[high] ?? null];
  if (a === null || b === null) return a ?? b;
  return right === left ? b : a + ((b - a) * (at - left)) / (right - left);
}
