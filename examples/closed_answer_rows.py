"""A thousand instructions with closed answers, for `chainrule finetune`.

python examples/closed_answer_rows.py rows.jsonl

Each row has one right answer, so that what is learnt can be counted: letters reversed, words sorted, the larger of two
numbers, a plural, the last word, vowels counted. The questions of the held-out rows are never learnt, so a right answer
to them is skill and not memory.
"""

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path

WORDS = (
    "apple river stone cloud window garden pencil silver mountain letter candle forest bridge mirror button ocean "
    "basket feather hammer island jacket kettle ladder market needle orange pocket ribbon saddle tunnel umbrella "
    "valley whistle anchor blanket carpet dragon engine flower goblet harbor insect jungle kitten lantern magnet napkin"
)
NOUNS = WORDS.split()


def reversed_letters(chance: random.Random) -> tuple[str, str]:
    """A question and its answer, as in all the others."""
    word = chance.choice(NOUNS)
    return f"Write the word '{word}' backwards.", word[::-1]


def sorted_words(chance: random.Random) -> tuple[str, str]:
    """Three words in the order of the alphabet."""
    words = chance.sample(NOUNS, 3)
    return f"Sort these words: {', '.join(words)}.", ", ".join(sorted(words))


def larger(chance: random.Random) -> tuple[str, str]:
    """The larger of two numbers below a thousand."""
    one, other = chance.sample(range(10, 1000), 2)
    return f"Which is larger, {one} or {other}?", str(max(one, other))


def plural(chance: random.Random) -> tuple[str, str]:
    """A word with an s."""
    word = chance.choice(NOUNS)
    return f"{chance.randint(2, 99)} of one {word}: give the plural.", f"{word}s"


def last_word(chance: random.Random) -> tuple[str, str]:
    """The last of three to five words."""
    words = chance.sample(NOUNS, chance.randint(3, 5))
    return f"What is the last word of '{' '.join(words)}'?", words[-1]


def vowels(chance: random.Random) -> tuple[str, str]:
    """How many letters of a word are vowels."""
    word = chance.choice(NOUNS)
    return f"How many vowels are in '{word}' ({chance.choice('abcdefgh')})?", str(sum(c in "aeiou" for c in word))


KINDS: tuple[Callable[[random.Random], tuple[str, str]], ...] = (
    *(reversed_letters, sorted_words, larger),
    *(plural, last_word, vowels),
)


def rows(n: int, seed: int = 0) -> list[dict[str, str]]:
    """So many different rows, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    found: dict[str, str] = {}
    while len(found) < n:
        question, answer = chance.choice(KINDS)(chance)
        found[question] = answer
    return [{"prompt": question, "completion": answer} for question, answer in found.items()]


def main(path: Path, n: int = 1000) -> None:
    """Writes the rows, one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows(n)), encoding="utf-8")
    print(f"{n:,} rows in {path}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, default=Path("rows.jsonl"), help="where the rows are written")
    parser.add_argument("--rows", type=int, default=1000)
    options = parser.parse_args()
    main(options.path, options.rows)
