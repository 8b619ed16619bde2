"""How good written text is to read, told without the model and without an opinion: words, repetitions, ends."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chainrule.data import TokenStore
from chainrule.tokenizer import Tokenizer

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
# A mark that ends a sentence, what closes after it, and then white space or the end of the text.
SENTENCE_END = re.compile(r"[.!?…]['\"”’»)\]]*(?=\s|$)")
RUN_WORDS = 4
LEAST_SEEN = 2
PIECES = 64
MOST_TOKENS = 2**20


@dataclass(frozen=True)
class SampleQuality:
    """What was found in some texts; a share is None where there was nothing to take it of."""

    texts: int
    words: int
    known_words: float | None
    """Share of the words that are in the word list."""
    repeated_runs: float | None
    """Share of the runs of four words that stood in the same text before: 0 for most prose, near 1 for a loop."""
    with_an_end: float | None
    """Share of the texts in which a sentence ends."""

    def figures(self) -> dict[str, Any]:
        """All of it by name, for a file."""
        return asdict(self)


def sample_quality(texts: Sequence[str], word_list: Collection[str]) -> SampleQuality:
    """Judges texts by a word list (in small letters), each for itself; small and large letters are one.

    Words are runs of letters, with an apostrophe inside; the last of a text is left out, because its length cut it. The
    same figures of held-out text of the same length say what a person's text has.
    """
    n_words = n_known = n_runs = n_repeated = n_ended = 0
    for text in texts:
        words = [word.lower() for word in WORD.findall(text)][:-1]
        n_words += len(words)
        n_known += sum(word in word_list for word in words)
        runs = Counter(tuple(words[start : start + RUN_WORDS]) for start in range(len(words) - RUN_WORDS + 1))
        n_runs += runs.total()
        n_repeated += runs.total() - len(runs)
        n_ended += bool(SENTENCE_END.search(text))
    return SampleQuality(
        len(texts),
        n_words,
        n_known / n_words if n_words else None,
        n_repeated / n_runs if n_runs else None,
        n_ended / len(texts) if texts else None,
    )


def words_of(store: TokenStore, tokenizer: Tokenizer, *, max_tokens: int = MOST_TOKENS) -> frozenset[str]:
    """The word list of a text: the words (in small letters) that it has at least twice, so that no slip is one.

    Of a text of more than `max_tokens` tokens evenly spread pieces that make up so many are read (some seconds).
    """
    counts: Counter[str] = Counter()
    for piece in _pieces(store, max_tokens):
        text = tokenizer.decode(piece)
        counts.update(word.lower() for word in WORD.findall(text)[1:-1])  # the first and the last may be cut
    return frozenset(word for word, count in counts.items() if count >= LEAST_SEEN)


def excerpts(store: TokenStore, tokenizer: Tokenizer, *, count: int, n_tokens: int) -> list[str]:
    """Evenly spread pieces of a text, as long as what they are compared with."""
    length = min(n_tokens, store.n_tokens)
    starts = np.linspace(0, store.n_tokens - length, count).astype(np.int64)
    return [tokenizer.decode(store.read(int(start), length)) for start in starts]


def _pieces(store: TokenStore, max_tokens: int) -> Iterable[Sequence[int]]:
    if store.n_tokens <= max_tokens:
        starts, length = np.arange(0, store.n_tokens, 2**16), 2**16
    else:
        length = max(1, max_tokens // PIECES)
        starts = np.linspace(0, store.n_tokens - length, PIECES).astype(np.int64)
    for start in starts.tolist():
        yield store.read(start, min(length, store.n_tokens - start)).tolist()
