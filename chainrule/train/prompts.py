"""Prompts for the samples of a run that was given none: beginnings in its held-out text, whatever its language."""

import re
from collections.abc import Iterator

import numpy as np

from chainrule.data import TokenStore
from chainrule.tokenizer import Tokenizer

COUNT, PLACES, PIECE_TOKENS, WORDS = 3, 48, 192, 4
# Behind a sentence's end or an empty line, a large letter and some words without a mark: so titles and lists are none.
SENTENCE = re.compile(r"(?:[.!?]['\"”’)]*\s+|\n\n)((?:[A-Z][\w’']*)(?: [\w’']+){5,})")
# The share of letters, spaces and common marks: 0.998 in novels and plays, 0.915 in Python's sources and in Markdown.
PROSE = re.compile(r"[^\W\d_]|[ \n.,;:'\"’“”!?-]")
PROSE_SHARE = 0.96
# Of other scripts, a sentence begins behind a line's end or a mark of its own; of code, a line does.
BEGINNING = re.compile(r"(?:\n|[。！？؟।…]['\"”’」』)]*)[ \t\u3000]*(?=\S)([^\n]+)")
# Where no blanks part the words (Chinese, Japanese, Thai), a beginning has so many letters.
LETTERS, LONGEST_WORD = 6, 24
LEAST_LETTERS = 3


def fitting_prompts(store: TokenStore, tokenizer: Tokenizer) -> tuple[str, ...] | None:
    """Beginnings of three sentences of the text where it is prose in Latin letters, else of its lines.

    None where it has too few. None of them ends with a blank, because words of a vocabulary begin with theirs.
    """
    return held_out_prompts(store, tokenizer) or line_prompts(store, tokenizer)


def held_out_prompts(store: TokenStore, tokenizer: Tokenizer) -> tuple[str, ...] | None:
    """The first words of three sentences at evenly spread places of a text; None where it is no prose, or has too few.

    What the model writes after them can be read beside how the text went on.
    """
    pieces = _pieces(store, tokenizer)
    text = "".join(pieces)
    if len(PROSE.findall(text)) < PROSE_SHARE * len(text):
        return None
    found = [match[1] for piece in pieces if (match := SENTENCE.search(piece))]
    return _spread([" ".join(sentence.split()[:WORDS]) for sentence in found])


def line_prompts(store: TokenStore, tokenizer: Tokenizer) -> tuple[str, ...] | None:
    """The same of lines, and of sentences that other scripts end: of code, tables, Chinese, Arabic."""
    return _spread([prompt for piece in _pieces(store, tokenizer) for prompt in _beginnings(piece)])


def _pieces(store: TokenStore, tokenizer: Tokenizer) -> list[str]:
    length = min(PIECE_TOKENS, store.n_tokens)
    starts = np.linspace(0, store.n_tokens - length, PLACES).astype(np.int64)
    return [tokenizer.decode(store.read(int(start), length)) for start in starts]


def _spread(found: list[str]) -> tuple[str, ...] | None:
    prompts = list(dict.fromkeys(found))
    if len(prompts) < COUNT:
        return None
    return tuple(prompts[place * len(prompts) // COUNT] for place in range(COUNT))


def _beginnings(piece: str) -> Iterator[str]:
    """Those of a piece's sentences or lines that have enough letters, without the last, which may be cut off."""
    for match in BEGINNING.finditer(piece):
        if match.end() == len(piece) or "\ufffd" in match[1]:
            continue
        words = match[1].split()
        prompt = " ".join(words[:WORDS])
        if len(words[0]) > LONGEST_WORD or (len(words) < WORDS and _is_unspaced(words[0])):
            prompt = words[0][:LETTERS]
        if sum(map(str.isalpha, prompt)) >= LEAST_LETTERS:
            yield prompt


# Thai, Lao and Burmese; Khmer; kana and Chinese characters.
UNSPACED = re.compile("[\u0e00-\u109f\u1780-\u17ff\u3040-\u9fff]")


def _is_unspaced(word: str) -> bool:
    """Whether its script puts no blanks between words."""
    return bool(UNSPACED.search(word))
