"""Prompts for the samples of a run that was given none: beginnings of sentences of its held-out text."""

import re

import numpy as np

from chainrule.data import TokenStore
from chainrule.tokenizer import Tokenizer

COUNT, PLACES, PIECE_TOKENS, WORDS = 3, 48, 192, 4
# Behind a sentence's end or an empty line, a large letter and some words without a mark: so titles and lists are none.
SENTENCE = re.compile(r"(?:[.!?]['\"”’)]*\s+|\n\n)((?:[A-Z][\w’']*)(?: [\w’']+){5,})")
# The share of letters, spaces and common marks: 0.998 in novels and plays, 0.915 in Python's sources and in Markdown.
PROSE = re.compile(r"[^\W\d_]|[ \n.,;:'\"’“”!?-]")
PROSE_SHARE = 0.96


def held_out_prompts(store: TokenStore, tokenizer: Tokenizer) -> tuple[str, ...] | None:
    """The first words of three sentences at evenly spread places of a text; None where it is no prose, or has too few.

    What the model writes after them can be read beside how the text went on.
    """
    length = min(PIECE_TOKENS, store.n_tokens)
    starts = np.linspace(0, store.n_tokens - length, PLACES).astype(np.int64)
    pieces = [tokenizer.decode(store.read(int(start), length)) for start in starts]
    text = "".join(pieces)
    if len(PROSE.findall(text)) < PROSE_SHARE * len(text):
        return None
    found = [match[1] for piece in pieces if (match := SENTENCE.search(piece))]
    prompts = list(dict.fromkeys(" ".join(sentence.split()[:WORDS]) for sentence in found))
    if len(prompts) < COUNT:
        return None
    return tuple(prompts[place * len(prompts) // COUNT] for place in range(COUNT))
