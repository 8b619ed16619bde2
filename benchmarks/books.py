"""As many new books as are wanted, made of a corpus: each word follows two words as it does somewhere in the corpus.

The same corpus and seed give the same books, whatever their number. Each has names of its own for the corpus's names.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = re.compile(r"\S+\s*")
NAME = re.compile(r"[A-Z][a-z]{2,}")
# A book is parts that are made side by side: numpy needs some hundred places at once to be fast.
PARTS = 512
BOOK_BYTES = (300_000, 3_000_000)
# A word that occurs so often, and never in small letters, is taken for a name.
OFTEN = 20


@dataclass(frozen=True)
class Corpus:
    """The words of a text in order, and where each pair of words stands."""

    words: NDArray[Any]
    """All different words, each with the white space after it."""
    text: NDArray[np.int64]
    """The number of the word at each place."""
    pair: NDArray[np.int64]
    """The number of the pair that ends at each place."""
    places: NDArray[np.int64]
    """All places, sorted by their pairs."""
    first: NDArray[np.int64]
    count: NDArray[np.int64]
    """Where the places of each pair begin in `places`, and how many they are."""
    named: dict[str, list[int]]
    """Words with a name in them, by the name."""


def read_corpus(text: str) -> Corpus:
    """What books are made of."""
    found = WORD.findall(text)
    words, numbers = np.unique(np.array(found, object), return_inverse=True)
    before = np.roll(numbers, 1)
    _, pair = np.unique(before * len(words) + numbers, return_inverse=True)
    count = np.bincount(pair)
    return Corpus(
        words, numbers, pair, np.argsort(pair, kind="stable"), np.cumsum(count) - count, count, _named(words, found)
    )


def _named(words: NDArray[Any], found: Sequence[str]) -> dict[str, list[int]]:
    bare = [word.strip("\"'“”‘’.,;:!?()—-_ \n") for word in words.tolist()]
    often = Counter(word.strip("\"'“”‘’.,;:!?()—-_ \n") for word in found)
    names = {word for word in bare if NAME.fullmatch(word) and often[word] >= OFTEN and not often[word.lower()]}
    named: dict[str, list[int]] = {name: [] for name in sorted(names)}
    for number, word in enumerate(bare):
        if word in names:
            named[word].append(number)
    return named


def books(corpus: Corpus, n_bytes: float, seed: int = 0) -> Iterator[str]:
    """New books, of 0.3 to 3 MB each, until they have `n_bytes`."""
    mean = len("".join(corpus.words[corpus.text[:100_000]].tolist()).encode()) / min(100_000, len(corpus.text))
    number, written = 0, 0
    while written < n_bytes:
        chooser = np.random.default_rng([seed, number])
        size = np.exp(chooser.uniform(*np.log(BOOK_BYTES)))
        book = "".join(_renamed(corpus, chooser)[_drawn(corpus, chooser, int(size / mean / PARTS))].tolist())
        written, number = written + len(book.encode()), number + 1
        yield book


def _drawn(corpus: Corpus, chooser: np.random.Generator, n_words: int) -> NDArray[np.int64]:
    """The numbers of PARTS times `n_words` words."""
    drawn = np.empty((n_words, PARTS), np.int64)
    at = chooser.integers(0, len(corpus.text), PARTS)
    for step in range(n_words):
        drawn[step] = corpus.text[at]
        pair = corpus.pair[at]
        # A place where the same two words stand; what follows them there comes next.
        there = corpus.first[pair] + (chooser.random(PARTS) * corpus.count[pair]).astype(np.int64)
        at = (corpus.places[there] + 1) % len(corpus.text)
    return drawn.T.ravel()


def _renamed(corpus: Corpus, chooser: np.random.Generator) -> NDArray[Any]:
    """All words, with the names exchanged among each other."""
    words, names = corpus.words.copy(), list(corpus.named)
    for name, other in zip(names, chooser.permutation(len(names)).tolist(), strict=True):
        for number in corpus.named[name]:
            words[number] = words[number].replace(name, names[other])
    return words
