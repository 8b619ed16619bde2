// Which tokens of two answers lie in words that the other answer does not have, by the longest common sequence of words.

import type { Token } from "./api";
import { shownTexts } from "./text";

// Beyond so many words each, only the common beginning counts: the table of the sequence grows with their product.
const MOST_WORDS = 1500;

interface Word {
  text: string;
  start: number;
  end: number;
}

function wordsOf(text: string): Word[] {
  return [...text.matchAll(/\S+/g)].map((found) => ({ text: found[0], start: found.index, end: found.index + found[0].length }));
}

/** For each side, whether a word has its like on the other. */
function common(left: Word[], right: Word[]): [boolean[], boolean[]] {
  const [ours, theirs] = [left.map(() => false), right.map(() => false)];
  let first = 0;
  while (first < left.length && first < right.length && left[first]?.text === right[first]?.text) {
    ours[first] = theirs[first] = true;
    first++;
  }
  const [rows, columns] = [left.length - first, right.length - first];
  if (rows > MOST_WORDS || columns > MOST_WORDS) return [ours, theirs];
  const longest = Array.from({ length: rows + 1 }, () => new Uint16Array(columns + 1));
  const at = (row: number, column: number) => longest[row]?.[column] ?? 0;
  const same = (row: number, column: number) => left[first + row]?.text === right[first + column]?.text;
  for (let row = rows - 1; row >= 0; row--)
    for (let column = columns - 1; column >= 0; column--)
      (longest[row] as Uint16Array)[column] = same(row, column)
        ? at(row + 1, column + 1) + 1
        : Math.max(at(row + 1, column), at(row, column + 1));
  for (let [row, column] = [0, 0]; row < rows && column < columns; ) {
    if (same(row, column)) ours[first + row++] = theirs[first + column++] = true;
    else if (at(row + 1, column) >= at(row, column + 1)) row++;
    else column++;
  }
  return [ours, theirs];
}

/** For each token of both sides, whether it lies in a word that the other side has not. */
export function differing(left: Token[], right: Token[]): [boolean[], boolean[]] {
  const sides = [shownTexts(left), shownTexts(right)] as const;
  const words = sides.map((texts) => wordsOf(texts.join(""))) as [Word[], Word[]];
  const shared = common(...words);
  return [0, 1].map((side) => {
    const lone = (words[side] ?? []).filter((_, number) => !shared[side]?.[number]);
    let [place, word] = [0, 0];
    return (sides[side] ?? []).map((text) => {
      const [start, end] = [place, (place += text.length)];
      while ((lone[word]?.end ?? Infinity) <= start) word++;
      return (lone[word]?.start ?? Infinity) < end && text.trim() !== "";
    });
  }) as [boolean[], boolean[]];
}
