// How a token is shown: its text without what could do harm, its probability as one of ten shades and in words.

import type { Token } from "./api";

// What a page should not obey: controls, marks that turn the direction of the text, halves of letters.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f\ufff9-\ufffb\ufffe\uffff]/g;

/** The text of tokens together: letters whose bytes are spread over several of them are whole again. */
export function joined(tokens: Token[]): string {
  return shownTexts(tokens).join("");
}

/** What each token adds to the text; nothing for a control token, and a letter where its last byte is. */
export function shownTexts(tokens: Token[]): string[] {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  return tokens.map(({ text, kind }) => {
    if (kind === "control") return "";
    const bytes = kind === "part" ? bytesOf(text) : encoder.encode(text);
    return decoder.decode(bytes, { stream: true });
  });
}

/** `bytes:\xe2\x80` as the server writes a part of a letter. */
function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text.matchAll(/\\x([0-9a-f]{2})/g), ([, digits]) => Number.parseInt(digits ?? "", 16));
}

export function clean(text: string): string {
  return text.replace(UNSAFE, "\ufffd").toWellFormed();
}

/** A token by itself, where white space has to be seen. */
export function named(text: string): string {
  return clean(text).replaceAll("\n", "⏎").replaceAll("\t", "⇥").replaceAll(" ", "␣") || "(nothing)";
}

export function percent(logprob: number): string {
  const share = 100 * Math.exp(logprob);
  return share >= 99.95 ? "100 %" : share >= 0.1 ? `${share.toFixed(1)} %` : "< 0.1 %";
}

/** 0 for a token that was certain, 9 for one that was most surprising: a shade for each half bit, then for whole ones. */
export function shade(logprob: number | null): number {
  if (logprob === null) return 0;
  const bits = -logprob / Math.LN2;
  const borders = [0.15, 0.5, 1, 1.5, 2, 3, 4, 6, 8];
  const place = borders.findIndex((border) => bits < border);
  return place < 0 ? 9 : place;
}
