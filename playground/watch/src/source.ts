// Where the page's data is from: a server that is asked every second, or the page itself where it was saved as one file.

import { type Differences, type Listed, type News, type Part, type Piece } from "./run";

export interface Asked {
  whole: [name: string, cursor: string][];
  beside: [name: string, cursor: string][];
}

export interface Source {
  live: boolean;
  listed(): Promise<Listed>;
  news(asked: Asked): Promise<News>;
  differences(names: string[]): Promise<Differences>;
  /** A part of a run in finer buckets; null where there is none to be had. */
  part(name: string, part: Part): Promise<Piece | null>;
}

/** What is wrong, with the status of the answer where there was one. */
export class Fault extends Error {
  constructor(
    message: string,
    readonly status = 0,
  ) {
    super(message);
  }
}

const PATIENCE_MS = 20_000;
let key = "";

/** The token of a server that asks for one; kept in memory only. */
export function setKey(value: string): void {
  key = value;
}

async function got<T>(path: string, query: [string, string][] = []): Promise<T> {
  const words = new URLSearchParams(query.map(([name, value]) => [name, value.toWellFormed()]));
  let answer: Response;
  try {
    // Relative: behind a tunnel or under a path the page does not know its own address.
    answer = await fetch(`api/${path}${query.length ? `?${words}` : ""}`, {
      headers: key ? { Authorization: `Bearer ${key}` } : {},
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new Fault("The server does not answer; this page tries again.");
  }
  if (!answer.ok) {
    const said = (await answer.json().catch(() => ({}))) as { error?: { message?: string } };
    throw new Fault(said.error?.message ?? `the server answered ${answer.status}`, answer.status);
  }
  return (await answer.json()) as T;
}

export const server: Source = {
  live: true,
  listed: () => got("runs"),
  news: ({ whole, beside }) =>
    got("news", [
      ...whole.map(([name, cursor]): [string, string] => ["whole", `${cursor || "-"}:${name}`]),
      ...beside.map(([name, cursor]): [string, string] => ["beside", `${cursor || "-"}:${name}`]),
    ]),
  part: async (name, { after, until }) =>
    (await got<{ train: Piece | null }>("part", [["run", name], ["after", `${after}`], ["until", `${until}`]])).train,
  differences: (names) => got("differences", names.map((name) => ["run", name])),
};

interface Saved {
  listed: Listed;
  news: News;
  apart: Differences;
}

/** The data that was saved with the page; null in a page of a server. */
export function saved(): Source | null {
  const text = document.getElementById("saved")?.textContent;
  if (!text) return null;
  const { listed, news, apart } = JSON.parse(text) as Saved;
  return {
    live: false,
    listed: async () => listed,
    news: async () => news,
    part: async () => null,
    differences: async (names) => {
      const places = names.map((name) => apart.runs.indexOf(name)).filter((place) => place >= 0);
      const settings = apart.settings.map(({ key, values }) => ({ key, values: places.map((place) => values[place] ?? null) }));
      const apartHere = settings.filter(({ values }) => new Set(values.map((one) => JSON.stringify(one))).size > 1);
      return { runs: places.map((place) => apart.runs[place] ?? ""), settings: apartHere };
    },
  };
}
