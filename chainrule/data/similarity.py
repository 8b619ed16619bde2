"""Digests and MinHash signatures of pieces of text.

A word is a run of letters, digits and underscores, without case in ASCII; a character of three or more bytes starts a
word, so that languages without spaces have words. A shingle is five words in a row. The share of places in which two
signatures agree estimates the Jaccard similarity of the two sets of shingles (Broder 1997). They are made by fast
similarity sketching (Dahlgaard, Knudsen and Thorup, arXiv:1704.04370): in each round every shingle is thrown into one
of the places, which keep the smallest hash of the earliest round; the rounds end when no place is empty. Everything
runs on whole batches of pieces, in numpy, and which documents are alike depends on nothing but this file.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 5
PERMUTATIONS = 128
DIGEST_BYTES = 16
NO_SHINGLES = 2**64 - 1
"""A signature without shingles has this in every place."""
VERSION = 1
"""To be raised with any change of the signatures: surveys that have others are made again."""

ODD = 0x9E37_79B9_7F4A_7C15
INVERSE_OF_ODD = pow(ODD, -1, 2**64)
MIX = np.uint64(0xBF58_476D_1CE4_E5B9)
BLANK, LETTER, WIDE = 0, 1, 2

U64 = NDArray[np.uint64]
# Of a value the highest 8 bits are its round, so that an earlier round wins; the rest is the hash.
ROUND_SHIFT = 56
HASH = np.uint64(2**ROUND_SHIFT - 1)
# After so many rounds few shingles are left but those that stand there again and again, which are then thrown once.
DISTINCT_AFTER = 16
PLACE_BITS = np.uint64(64 - PERMUTATIONS.bit_length() + 1)


class Sketch(NamedTuple):
    """What the survey keeps of n pieces."""

    digests: list[bytes]
    """BLAKE2b of the content, 16 bytes."""
    signatures: U64
    """[n, 128]; NO_SHINGLES in every place for a piece of fewer than five words."""


def sketch(contents: Sequence[bytes]) -> Sketch:
    """Digest and signature of each piece."""
    digests = [hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest() for content in contents]
    return Sketch(digests, signatures(contents))


def signatures(contents: Sequence[bytes]) -> U64:
    """[n, 128]: the element-wise minimum over a document's pieces is the document's signature."""
    shingles, counts = shingle_hashes(contents)
    rows = np.full((len(contents), PERMUTATIONS), NO_SHINGLES, np.uint64)
    flat = rows.reshape(-1)
    open_rows = np.flatnonzero(counts)
    counts = counts[open_rows]
    throw = 0
    while open_rows.size and throw < 2 * PERMUTATIONS:
        if throw == DISTINCT_AFTER:
            shingles, counts = _distinct(shingles, counts)
        hashes = scrambled(shingles + np.uint64(throw * ODD % 2**64))
        # By chance some place of few shingles stays empty for long: in the end each has a round of its own.
        places = hashes >> PLACE_BITS if throw < PERMUTATIONS else np.full_like(hashes, throw - PERMUTATIONS)
        values = (hashes & HASH) | np.uint64(throw << ROUND_SHIFT)
        starts = np.repeat((open_rows * PERMUTATIONS).astype(np.uint64), counts)
        np.minimum.at(flat, (starts + places).view(np.int64), values)
        still = (rows[open_rows] == NO_SHINGLES).any(axis=1)
        shingles = shingles[np.repeat(still, counts)]
        open_rows, counts, throw = open_rows[still], counts[still], throw + 1
    return rows


def _distinct(shingles: U64, counts: NDArray[np.int64]) -> tuple[U64, NDArray[np.int64]]:
    """The same shingles, each once for each piece: 4 MB of one word took 1.2 s where all were thrown to the end."""
    pieces = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((shingles, pieces))
    shingles, pieces = shingles[order], pieces[order]
    first = np.ones(len(shingles), bool)
    first[1:] = (shingles[1:] != shingles[:-1]) | (pieces[1:] != pieces[:-1])
    return shingles[first], np.bincount(pieces[first], minlength=len(counts))


def shingle_hashes(contents: Sequence[bytes], n_words: int = SHINGLE_WORDS) -> tuple[U64, NDArray[np.int64]]:
    """The hashes of all shingles of so many words, piece after piece, and how many each piece has."""
    # A newline between pieces ends the word there.
    text = np.frombuffer(b"\n".join([*contents, b""]), np.uint8)
    starts = word_starts(text)
    words = _word_hashes(text, starts)
    borders = np.cumsum([len(content) + 1 for content in contents])
    of_piece = np.diff(np.searchsorted(starts, borders), prepend=0)
    counts = np.maximum(of_piece - (n_words - 1), 0)
    if not counts.any():
        return np.empty(0, np.uint64), counts
    n = len(words) - n_words + 1
    mixed = words[:n].copy()
    for step in range(1, n_words):
        mixed *= np.uint64(ODD)
        mixed += words[step : n + step]
    # The last words of a piece start no shingle.
    inside = np.ones(len(words), bool)
    tails = np.cumsum(of_piece)[:, None] - np.arange(1, n_words)
    inside[tails[tails >= 0]] = False
    return scrambled(mixed[inside[:n]]), counts


def hashed_words(content: bytes) -> tuple[NDArray[np.int64], U64]:
    """The first byte of every word, and its hash."""
    text = np.frombuffer(content, np.uint8)
    starts = word_starts(text)
    return starts, _word_hashes(text, starts)


def word_starts(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The positions of the first byte of every word."""
    kinds = _KINDS[text]
    starting = kinds == WIDE
    starting[1:] |= (kinds[1:] == LETTER) & (kinds[:-1] == BLANK)
    if len(kinds):
        starting[0] = kinds[0] != BLANK
    return np.flatnonzero(starting)


def _word_hashes(text: NDArray[np.uint8], starts: NDArray[np.int64]) -> U64:
    """Of each word, the polynomial of its bytes' values in ODD: the sum of value * ODD**position, modulo 2**64.

    One power per position of the text serves all words; dividing by the power at its start (ODD is invertible) makes a
    word's hash the same wherever it stands. Bytes between words have the value 0.
    """
    if not starts.size:
        return np.empty(0, np.uint64)
    size = max(1 << 16, 1 << (len(text) - 1).bit_length())
    terms = _VALUES[text]
    terms *= _powers(ODD, size)[: len(text)]
    return scrambled(np.add.reduceat(terms, starts) * _powers(INVERSE_OF_ODD, size)[starts])


def scrambled(values: U64) -> U64:
    """A bijection that makes all bits depend on all bits (the finaliser of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * MIX
    return values ^ (values >> np.uint64(27))


@lru_cache(maxsize=4)
def _powers(base: int, size: int) -> U64:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def _byte_kinds() -> NDArray[np.uint8]:
    kinds = np.full(256, BLANK, np.uint8)
    for letter in range(128):
        if chr(letter).isalnum() or chr(letter) == "_":
            kinds[letter] = LETTER
    kinds[0x80:0xE0] = LETTER
    kinds[0xE0:] = WIDE
    return kinds


def _byte_values() -> U64:
    """A fixed random odd value for each byte that belongs to words, the same for both cases of an ASCII letter."""
    values = scrambled(np.arange(1, 257, dtype=np.uint64) * np.uint64(ODD)) | np.uint64(1)
    values[ord("A") : ord("Z") + 1] = values[ord("a") : ord("z") + 1]
    return np.where(_KINDS == BLANK, np.uint64(0), values)


_KINDS = _byte_kinds()
_VALUES = _byte_values()
