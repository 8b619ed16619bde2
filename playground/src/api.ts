// The server's HTTP API, as any other client would use it: models, and answers that come token by token.

/** What a token is: text, a part of a letter (which is text together with its neighbours), or a control token. */
export type Kind = "text" | "part" | "control";

export interface Alternative {
  text: string;
  kind: Kind;
  logprob: number;
}

/** One token of a model: its text, how likely it was, and what else could have stood there. Prefixes have no figures. */
export interface Token {
  text: string;
  kind: Kind;
  logprob: number | null;
  alternatives: Alternative[];
  /** Who wrote it, the ids that were read before it, and its own place among them: what the lens asks for. */
  source?: { model: string; ids: number[]; at: number };
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface Settings {
  temperature: number;
  topP: number;
  maxTokens: number;
  seed: number;
  system: string;
}

export interface Ask {
  model: string;
  settings: Settings;
  /** A conversation; its last message is the assistant's where an answer is to go on from its beginning. */
  messages?: Message[];
  /** Or the beginning of a text. */
  prompt?: string;
}

export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

export interface Model {
  id: string;
  /** False for a base model, which only goes on with a text; null where the server does not say. */
  chat: boolean | null;
  /** Tokens of a prompt and its answer together, where the server says so. */
  most: number | null;
  /** Of a run's checkpoint: the model that it belongs to. */
  parent: string | null;
}

const N_ALTERNATIVES = 5;
let key = "";

/** The token of a server that asks for one; kept in memory only. */
export function setKey(value: string): void {
  key = value;
}

export function headers(): Record<string, string> {
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

export async function refusal(answer: Response): Promise<Refused> {
  let message = `the server answered ${answer.status}`;
  try {
    const said = (await answer.json()) as { error?: { message?: string } };
    message = said.error?.message ?? message;
  } catch {
    // No JSON: the status has to do.
  }
  return new Refused(message, answer.status);
}

export async function models(): Promise<Model[]> {
  const answer = await fetch("v1/models", { headers: headers() });
  if (!answer.ok) throw await refusal(answer);
  const listed = (await answer.json()) as { data: { id: string; chat?: boolean; max_model_len?: number; parent?: string | null; step?: number }[] };
  return listed.data.map(({ id, chat, max_model_len, parent, step }) => ({
    id,
    chat: chat ?? null,
    most: max_model_len ?? null,
    // An adapter has a parent, too, and is a model to be chosen like any other.
    parent: step === undefined ? null : (parent ?? null),
  }));
}

interface ChatLogprob {
  token: string;
  bytes?: number[] | null;
  logprob: number;
  top_logprobs?: ChatLogprob[];
}

interface Chunk {
  error?: { message?: string };
  prompt_token_ids?: number[];
  choices?: {
    text?: string;
    prompt_token_ids?: number[];
    token_ids?: number[];
    delta?: { content?: string | null };
    finish_reason?: string | null;
    logprobs?: {
      content?: ChatLogprob[] | null;
      tokens?: string[];
      token_logprobs?: (number | null)[];
      top_logprobs?: (Record<string, number> | null)[];
    } | null;
  }[];
}

const PART = /^bytes:(\\x[0-9a-f]{2})+$/;

/** Of /v1/chat/completions: a token without bytes is a control token. */
function ofChat({ token, bytes, logprob }: ChatLogprob): Alternative {
  const kind = PART.test(token) ? "part" : bytes?.length === 0 ? "control" : "text";
  return { text: token, kind, logprob };
}

/** Of /v1/completions, which says of no token whether it is a control token: they look like this in all vocabularies. */
export function ofLegacy(token: string, logprob: number): Alternative {
  const kind = PART.test(token) ? "part" : /^<\|.+\|>$|^<\/?s>$/.test(token) ? "control" : "text";
  return { text: token, kind, logprob };
}

function tokensOf(chunk: Chunk): Token[] {
  const choice = chunk.choices?.[0];
  const logprobs = choice?.logprobs;
  if (logprobs?.content?.length)
    return logprobs.content.map((one) => ({ ...ofChat(one), alternatives: (one.top_logprobs ?? []).map(ofChat) }));
  if (logprobs?.tokens?.length)
    return logprobs.tokens.map((text, place) => ({
      ...ofLegacy(text, logprobs.token_logprobs?.[place] ?? 0),
      alternatives: Object.entries(logprobs.top_logprobs?.[place] ?? {})
        .map(([word, logprob]) => ofLegacy(word, logprob))
        .sort((a, b) => b.logprob - a.logprob),
    }));
  const text = choice?.delta?.content ?? choice?.text ?? "";
  return text ? [{ text, kind: "text", logprob: null, alternatives: [] }] : [];
}

function body({ model, settings, messages, prompt }: Ask): [path: string, content: object] {
  const shared = {
    model,
    stream: true,
    temperature: settings.temperature,
    top_p: settings.topP,
    max_tokens: settings.maxTokens,
    seed: settings.seed,
    return_token_ids: true,
  };
  if (messages === undefined) return ["v1/completions", { ...shared, prompt, logprobs: N_ALTERNATIVES }];
  const goesOn = messages.at(-1)?.role === "assistant";
  const prefix = goesOn ? { continue_final_message: true, add_generation_prompt: false } : {};
  return ["v1/chat/completions", { ...shared, ...prefix, messages, logprobs: true, top_logprobs: N_ALTERNATIVES }];
}

/** Calls `onTokens` as tokens come; returns why the text ended ("stop", "length", …). Throws Refused. */
export async function stream(ask: Ask, signal: AbortSignal, onTokens: (tokens: Token[]) => void): Promise<string> {
  const [path, content] = body(ask);
  const answer = await fetch(path, { method: "POST", headers: headers(), body: JSON.stringify(content), signal });
  if (!answer.ok || !answer.body) throw await refusal(answer);
  const read = { model: ask.model, ids: [] };
  let finish = "";
  for await (const data of events(answer.body)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new Refused(chunk.error.message ?? "the server stopped", 500);
    const tokens = withSources(tokensOf(chunk), chunk, read);
    if (tokens.length) onTokens(tokens);
    finish = chunk.choices?.[0]?.finish_reason ?? finish;
  }
  return finish;
}

/** The tokens with their places among the ids that were read, to which theirs and those of the prompt are added. */
function withSources(tokens: Token[], chunk: Chunk, read: { model: string; ids: number[] }): Token[] {
  const { ids } = read;
  const choice = chunk.choices?.[0];
  ids.push(...(chunk.prompt_token_ids ?? choice?.prompt_token_ids ?? []));
  const own = choice?.token_ids ?? [];
  const first = ids.length;
  ids.push(...own);
  return own.length === tokens.length ? tokens.map((one, n) => ({ ...one, source: { ...read, at: first + n } })) : tokens;
}

/** The data of server-sent events, whose borders may lie anywhere in what the network brings. */
async function* events(source: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = source.getReader();
  const decoder = new TextDecoder();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      held += decoder.decode(value, { stream: !done });
      const lines = held.split(/\r?\n/);
      held = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
