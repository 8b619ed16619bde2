"""A bounded sample of an unbounded stream of text: evenly spread, and the same each time.

Training looks at no more than `sample_bytes` of UTF-8 text, however much there is. Which pairs are frequent is known
long before; memory stays bounded; and no count overflows the 32 bits that `tokenizers` counts with.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from chainrule.base import TokenizerError
from chainrule.tokenizer.alphabet import utf8
from chainrule.tokenizer.reference import pieces

SAMPLE_BYTES = 64 * 2**20
# Pairs are about as frequent as the inverse of their rank: in 64 MiB the last of 200,000 is seen some five times, which
# is chance. In 512 MiB no count comes near to 32 bits.
BYTES_PER_ENTRY, MOST_BYTES = 1024, 512 * 2**20
PIECE_CHARACTERS = 2**18
# What Python keeps for a piece besides its bytes; without it millions of one-byte documents would count as nothing.
OVERHEAD_BYTES = 48
# A merge costs the length of every word that it is in: a megabyte of letters without a space would take hours.
LONGEST_WORD = 256
WHITE = np.isin(np.arange(256), list(b" \t\n\r\f\v"))
LONG_WORD = re.compile(r"\s{n}|[^\W\d_]{n}|\d{n}|(?:[^\w\s]|_){n}".replace("n", str(LONGEST_WORD)))


def sample_bytes(vocab_size: int) -> int:
    """The most text that a vocabulary of this size is learnt from: 64 MiB, and more from 65,536 entries on."""
    return min(MOST_BYTES, max(SAMPLE_BYTES, BYTES_PER_ENTRY * vocab_size))


def bounded_sample(texts: Iterable[str], max_bytes: int = SAMPLE_BYTES) -> list[bytes]:
    """UTF-8 pieces of the texts, all of them if they fit into `max_bytes`, else every 2nd, 4th, 8th … piece.

    A piece is a document, or some 256 KiB of one, or a part of it that ends inside a word of more than 256 characters.
    """
    if isinstance(texts, str):
        raise TokenizerError("one string was given where a list of texts is wanted; put it in brackets: [text]")
    kept: list[bytes] = []
    size_bytes, stride = 0, 1
    for place, piece in enumerate(_pieces(texts)):
        if place % stride:
            continue
        kept.append(piece)
        size_bytes += len(piece) + OVERHEAD_BYTES
        while size_bytes > max_bytes and len(kept) > 1:
            kept, stride = kept[::2], stride * 2
            size_bytes = sum(len(piece) + OVERHEAD_BYTES for piece in kept)
    return [part for piece in kept for part in _with_short_words(piece)]


def _pieces(texts: Iterable[str]) -> Iterator[bytes]:
    for text in texts:
        for part in pieces(text, PIECE_CHARACTERS):
            for start in range(0, len(part), 2 * PIECE_CHARACTERS):  # text without spaces has no better place to cut
                yield utf8(part[start : start + 2 * PIECE_CHARACTERS])


def _with_short_words(piece: bytes) -> list[bytes]:
    """The piece, cut inside each word of more than `LONGEST_WORD` characters."""
    if _longest_run(piece) <= LONGEST_WORD:
        return [piece]
    text = piece.decode()
    cuts = [0, *(word.end() for word in LONG_WORD.finditer(text)), len(text)]
    return [text[start:end].encode() for start, end in pairwise(cuts) if start < end]


def _longest_run(piece: bytes) -> int:
    """Bytes of the longest stretch without, or of nothing but, ASCII white space: no word is longer."""
    white = WHITE[np.frombuffer(piece, dtype=np.uint8)]
    ends = np.flatnonzero(white[1:] != white[:-1])
    return int(np.diff(ends, prepend=-1, append=len(piece) - 1).max())
