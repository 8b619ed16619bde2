// One run as the page knows it: what the server tells of it, put together piece by piece.

export interface Line {
  id: string;
  name: string;
  status: string;
  step: number;
  steps: number | null;
  bits: number | null;
  parameters: number | null;
  bytes: number;
  begun: number;
  /** A fingerprint of the text that it learns: two runs with the same one can be compared by their loss. */
  text: string | null;
  baselines: Record<string, number>;
}

export interface Listed {
  version: string;
  runs: Line[];
}

export interface Differences {
  runs: string[];
  settings: { key: string; values: unknown[] }[];
}

type Numbers = (number | null)[];

/** A figure of buckets of neighbouring rows: their mean, and where a bucket has several rows the lowest and highest. */
export interface Figure {
  mean: Numbers;
  low?: Numbers;
  high?: Numbers;
}

export interface Columns {
  count: number[];
  step: number[];
  tokens: number[];
  seconds: number[];
  figures: Record<string, Figure>;
}

export type Piece = { start: number; count: number[]; step: number[]; tokens: number[]; seconds: number[] } & Record<string, unknown>;

export interface Verdict {
  mark: "good" | "note" | "bad";
  said: string;
  remedy: string;
}

export interface Picture {
  title: string;
  rows: string[];
  steps: number[];
  cells: Numbers[];
  log: boolean;
  bounds: [number, number] | null;
}

/** What a fine-tuning is looked at for: each chart with its lines, over steps. */
export interface Taught {
  title: string;
  lines: { name: string; step: number[]; value: number[] }[];
}

export interface Checkpoint {
  step: number;
  bytes: number;
  loss: number | null;
  bits: number | null;
  best: boolean;
  write: string;
}

export interface End {
  tokens: number;
  value: number;
  low: number;
  high: number;
}

export interface Head {
  path: string;
  status: string;
  steps: number | null;
  tokens: number | null;
  seconds: number | null;
  parameters: number | null;
  architecture: string | null;
  flops_per_token: number | null;
  unit: string;
  final: { bits: number | null; loss: number | null; seconds: number | null; tokens_per_second: number | null };
  /** The model against what needs none, in a sentence; once that was measured. */
  standing: string | null;
  verdicts: Verdict[];
  ends: { loss?: End; bits?: End };
  vocab_size: number | null;
  baselines: Record<string, number>;
  text: string | null;
  memory: { planned: number | null; there: number | null };
  machine: { name: string; value: string }[];
  checkpoints: Checkpoint[];
  pictures: Picture[];
  taught: Taught[];
  events: { time: string; step: number | null; said: string }[];
  completions: { prompt: string; text: string }[];
  resume: string | null;
  commands: { words: string; command: string }[];
}

export interface Sample {
  step: number;
  text: string;
  prompt?: string;
}

export interface Last {
  step: number;
  tokens?: number;
  seconds?: number;
  loss?: number;
  tokens_per_second?: number;
  peak_share?: number;
  seconds_left?: number;
}

/** A run that cannot be read. */
interface Fault {
  fault: string;
}

interface Told {
  reset: boolean;
  more: boolean;
  cursor: string;
  train: Piece;
  held_out: Piece;
  head?: Head;
  last?: Last | null;
  held_bytes?: number | null;
  samples?: { start: number; rows: Sample[] };
}

export interface News {
  /** Some were not looked at in time: ask again at once. */
  more: boolean;
  runs: Record<string, Told | Fault | null>;
}

export interface Run {
  cursor: string;
  whole: boolean;
  /** Changes with the curves, so that what is made of them need not be made again. */
  version: number;
  train: Columns;
  heldOut: Columns;
  head: Head | null;
  last: Last | null;
  /** Why it cannot be read. */
  fault: string;
  /** Memory of the process that trains it. */
  held: number | null;
  samples: Sample[];
}

const none = (): Columns => ({ count: [], step: [], tokens: [], seconds: [], figures: {} });

export function unknown(): Run {
  return { cursor: "", whole: false, version: 0, train: none(), heldOut: none(), head: null, last: null, held: null, fault: "", samples: [] };
}

/** Takes up what is new of a run. */
export function told(run: Run, news: Told | Fault, whole: boolean): Run {
  if ("fault" in news) return { ...run, fault: news.fault };
  const before = news.reset ? { ...unknown(), version: run.version } : run;
  const [train, heldOut] = [longer(before.train, news.train), longer(before.heldOut, news.held_out)];
  return {
    cursor: news.cursor,
    whole,
    version: run.version + Number(news.reset || train !== before.train || heldOut !== before.heldOut || news.head !== undefined),
    train,
    heldOut,
    head: news.head ?? before.head,
    last: news.last ?? before.last,
    held: news.held_bytes ?? null,
    fault: "",
    samples: news.samples?.rows.length || news.samples?.start === 0 ? [...before.samples.slice(0, news.samples.start), ...news.samples.rows] : before.samples,
  };
}

/** Where a part of the columns lies that may be had in finer pieces: the buckets `from` to `to`, and steps after the one, up to the other. */
export interface Part {
  from: number;
  to: number;
  after: number;
  until: number;
}

/** The buckets of several rows between two places on an axis; null where each row is drawn by itself already. */
export function coarse(columns: Columns, at: number[], [left, right]: [number, number]): Part | null {
  const last = columns.count.length - 2; // the newest bucket still grows
  const from = at.findIndex((place) => place >= left);
  const after = at.findIndex((place) => place > right);
  const to = Math.min(after < 0 ? last : after, last);
  if (from < 0 || to < from || !columns.count.slice(from, to + 1).some((n) => n > 1)) return null;
  return { from, to, after: from ? (columns.step[from - 1] ?? -1) : -1, until: columns.step[to] ?? -1 };
}

/** The columns with finer buckets in the place of a part. */
export function refined(columns: Columns, part: Part, piece: Piece): Columns {
  const tail = cut(columns, part.to + 1);
  return joined(longer(columns, { ...piece, start: part.from }), tail);
}

function cut(columns: Columns, start: number): Columns {
  const figures = Object.fromEntries(Object.entries(columns.figures).map(([name, { mean, low, high }]) => [name, { mean: mean.slice(start), low: low?.slice(start), high: high?.slice(start) }]));
  return { count: columns.count.slice(start), step: columns.step.slice(start), tokens: columns.tokens.slice(start), seconds: columns.seconds.slice(start), figures };
}

function joined(left: Columns, right: Columns): Columns {
  const figures: Record<string, Figure> = {};
  for (const [name, own] of Object.entries(left.figures)) {
    const other = right.figures[name];
    const [low, high] = [[...(own.low ?? own.mean), ...(other?.low ?? other?.mean ?? [])], [...(own.high ?? own.mean), ...(other?.high ?? other?.mean ?? [])]];
    figures[name] = { mean: [...own.mean, ...(other?.mean ?? [])], low, high };
  }
  return {
    count: [...left.count, ...right.count],
    step: [...left.step, ...right.step],
    tokens: [...left.tokens, ...right.tokens],
    seconds: [...left.seconds, ...right.seconds],
    figures,
  };
}

/** The columns with those of a piece from its place on; the same object where nothing has come. */
function longer(old: Columns, piece: Piece): Columns {
  const { start } = piece;
  if (!piece.count.length || (start + piece.count.length === old.count.length && piece.step.at(-1) === old.step.at(-1))) return old;
  const joined = <T>(left: T[] | undefined, right: T[] | undefined): T[] => [...(left ?? []).slice(0, start), ...(right ?? [])];
  const figures: Record<string, Figure> = {};
  for (const [name, value] of Object.entries(piece)) {
    if (!isFigure(value)) continue;
    const own = old.figures[name];
    figures[name] = { mean: joined(own?.mean, value.mean) };
    if (value.low && value.high) Object.assign(figures[name], { low: joined(own?.low, value.low), high: joined(own?.high, value.high) });
  }
  return {
    count: joined(old.count, piece.count),
    step: joined(old.step, piece.step),
    tokens: joined(old.tokens, piece.tokens),
    seconds: joined(old.seconds, piece.seconds),
    figures,
  };
}

function isFigure(value: unknown): value is Figure {
  return typeof value === "object" && value !== null && "mean" in value;
}

/** A figure of the looks at held-out text. The last one of a finished run is what it ended with: one figure for one thing. */
export function looks(run: Run, name: "val_loss" | "val_bits_per_byte"): Numbers {
  const mean = run.heldOut.figures[name]?.mean ?? [];
  const final = run.head?.status === "finished" ? run.head.final : null;
  const end = final && (name === "val_loss" ? final.loss : final.bits);
  return end === null || !mean.length ? mean : [...mean.slice(0, -1), end];
}
