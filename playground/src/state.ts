// What a column of the page holds: a model with its settings, and what was said or written so far.

import type { Message, Settings, Token } from "./api";
import { joined } from "./text";

export type Mode = "chat" | "completion";

/** What a person wrote and what the model wrote behind it; of a prefix that was chosen the tokens have no figures. */
export interface Turn {
  asked: string;
  tokens: Token[];
  finish: string;
}

export interface Column {
  model: string;
  settings: Settings;
  turns: Turn[];
  /** What each checkpoint wrote in place of the last turn, so that a slider that comes back need not ask again. */
  kept: Record<string, Turn>;
  busy: boolean;
  error: string;
}

export const FIRST_SETTINGS: Settings = { temperature: 0.7, topP: 0.95, maxTokens: 256, seed: 0, system: "" };

/** The conversation up to the last turn, whose answer is its last message where it has a beginning already. */
export function messagesOf(column: Column): Message[] {
  const { system } = column.settings;
  const found: Message[] = system ? [{ role: "system", content: system }] : [];
  for (const { asked, tokens } of column.turns) {
    found.push({ role: "user", content: asked });
    if (tokens.length) found.push({ role: "assistant", content: joined(tokens) });
  }
  return found;
}

/** The turns with another token at a place of one answer, behind which everything is to be written anew. */
export function branched(turns: Turn[], turn: number, place: number, text: string): Turn[] {
  return turns.slice(0, turn + 1).map((one, number) => {
    if (number < turn) return one;
    const replaced = one.tokens[place];
    const chosen = replaced?.alternatives.find((other) => other.text === text);
    const token: Token = {
      text,
      kind: "text",
      logprob: chosen?.logprob ?? null,
      alternatives: replaced?.alternatives ?? [],
    };
    return { ...one, tokens: [...one.tokens.slice(0, place), token], finish: "" };
  });
}
