// What the server says beside OpenAI's interface: the checkpoints of runs with their curve, and the lens on one token.

import { headers, ofLegacy, refusal, type Token } from "./api";

export interface Checkpoint {
  id: string;
  step: number;
  loss: number | null;
  bits: number | null;
}

export type Point = [step: number, loss: number];

/** A run that is served: which step of it the model was opened at, and the curve that the checkpoints lie on. */
export interface Run {
  model: string;
  step: number | null;
  checkpoints: Checkpoint[];
  train: Point[];
  heldOut: Point[];
}

interface Listed {
  model: string;
  step: number | null;
  checkpoints: { id: string; step: number; val_loss: number | null; val_bits_per_byte: number | null }[];
  train: Point[];
  held_out: Point[];
}

/** Runs with something to choose between; none from a server that has no such route. */
export async function runs(): Promise<Run[]> {
  const answer = await fetch("checkpoints", { headers: headers() });
  if (!answer.ok) return [];
  const { data } = (await answer.json()) as { data: Listed[] };
  return data.map(({ model, step, checkpoints, train, held_out }) => ({
    model,
    step,
    train,
    heldOut: held_out,
    checkpoints: checkpoints.map((one) => ({ id: one.id, step: one.step, loss: one.val_loss, bits: one.val_bits_per_byte })),
  }));
}

/** One module: the gradient by what it hands on, at all places together and at each, and that by its own weights. */
export interface Depth {
  module: string;
  gradient: number;
  places: number[];
  weights: number;
  nWeights: number;
}

export interface Look {
  model: string;
  logprob: number;
  /** By all weights. */
  gradient: number;
  operations: number;
  tokens: Token[];
  /** From the loss back to where the tokens come in. */
  depths: Depth[];
}

interface LookAnswer {
  model: string;
  logprob: number;
  gradient: number;
  operations: number;
  tokens: string[];
  depths: { module: string; gradient: number; places: number[]; weights: number; n_weights: number }[];
}

async function asked(model: string, ids: number[], form: "figures" | "page", signal: AbortSignal): Promise<Response> {
  const body = JSON.stringify({ model, ids, form });
  const answer = await fetch("lens", { method: "POST", headers: headers(), body, signal });
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

/** The last of `ids` after the others. Throws Refused. */
export async function look(model: string, ids: number[], signal: AbortSignal): Promise<Look> {
  const found = (await (await asked(model, ids, "figures", signal)).json()) as LookAnswer;
  return {
    ...found,
    tokens: found.tokens.map((word) => ({ ...ofLegacy(word, 0), logprob: null, alternatives: [] })),
    depths: found.depths.map(({ n_weights, ...one }) => ({ ...one, nWeights: n_weights })),
  };
}

/** All operations as one file; it opens by itself and is no page of this server. Throws Refused. */
export async function page(model: string, ids: number[], signal: AbortSignal): Promise<Blob> {
  return (await asked(model, ids, "page", signal)).blob();
}
