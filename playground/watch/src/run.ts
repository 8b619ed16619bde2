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

type Piece = { start: number; count: number[]; step: number[]; tokens: number[]; seconds: number[] } & Record<string, unknown>;

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
