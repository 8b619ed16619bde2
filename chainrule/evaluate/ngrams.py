"""Counts of runs of tokens, and the probabilities that follow from them: what a network has to beat."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
LONGEST = 5


class NgramCounts:
    """Counts of single tokens and of runs of up to `longest`, and the smoothed probabilities that follow from them.

    unigram: add one, (c(w) + 1) / (N + V). after: Witten and Bell's interpolation (1991), from pairs up to runs of n
    tokens: p(w | h) = (c(h, w) + t(h) p(w | h')) / (c(h) + t(h)), where t(h) is the number of different tokens that
    were seen after h, and h' is h without its first token. No run goes from one piece into the next.
    """

    def __init__(self, pieces: list[Ids], vocab_size: int, longest: int = LONGEST) -> None:
        self.vocab_size = vocab_size
        counts = sum((np.bincount(ids, minlength=vocab_size) for ids in pieces), np.zeros(vocab_size, np.int64))
        self.probability = (counts + 1) / (counts.sum() + vocab_size)
        self.runs: list[_Runs] = []
        # A run has the number of its place among all different ones, so that a longer one is a pair: what stands
        # before its last token, and that token. No number is lost to hashing.
        numbers, n_before = pieces, vocab_size
        for length in range(2, longest + 1):
            runs, numbers = _counted(numbers, [ids[length - 1 :] for ids in pieces], vocab_size, n_before)
            n_before = len(runs.seen)
            self.runs.append(runs)

    def unigram(self, ids: Ids) -> NDArray[np.float64]:
        """Probability of each token."""
        return self.probability[ids]

    def after(self, ids: Ids, length: int) -> NDArray[np.float64]:
        """Probability of each token after the up to `length` - 1 before it, as many as there are and as were seen."""
        probability, numbers = self.unigram(ids), ids
        for before, runs in enumerate(self.runs[: length - 1], start=1):
            context, tokens, shorter = numbers[:-1], ids[before:], probability[before:]
            count, numbers = runs.look_up(context, tokens, self.vocab_size)
            known = (context >= 0) & (runs.followed[context] > 0)
            followed, followers = runs.followed[context][known], runs.followers[context][known]
            shorter[known] = (count[known] + followers * shorter[known]) / (followed + followers)
        return probability


@dataclass(frozen=True)
class _Runs:
    """All different runs of one length, sorted, as context × vocabulary + last token, and how often each was seen.

    `followed` says of each context how often it stood before some token, `followers` before how many different ones;
    both end in a zero for the context of number -1, which was never seen.
    """

    seen: Ids
    counts: Ids
    followed: Ids
    followers: Ids

    def look_up(self, context: Ids, tokens: Ids, vocab_size: int) -> tuple[Ids, Ids]:
        """How often each run was seen, and its number; 0 and -1 for one that was not."""
        asked = context * vocab_size + tokens
        if not len(self.seen):
            return np.zeros_like(asked), np.full_like(asked, -1)
        place = np.minimum(np.searchsorted(self.seen, asked), len(self.seen) - 1)
        found = (context >= 0) & (self.seen[place] == asked)
        return np.where(found, self.counts[place], 0), np.where(found, place, -1)


def _counted(before: list[Ids], last: list[Ids], vocab_size: int, n_before: int) -> tuple[_Runs, list[Ids]]:
    """The runs of all pieces whose parts before the last token have the numbers `before`; and the runs' own numbers."""
    pairs = [numbers[: len(tokens)] * vocab_size + tokens for numbers, tokens in zip(before, last, strict=True)]
    seen, numbers, counts = np.unique(
        np.concatenate(pairs or [np.zeros(0, np.int64)]), return_inverse=True, return_counts=True
    )
    first = seen // vocab_size
    followed = np.bincount(first, weights=counts, minlength=n_before + 1).astype(np.int64)
    followers = np.bincount(first, minlength=n_before + 1)
    ends = np.cumsum([len(one) for one in pairs])[:-1]
    return _Runs(seen, counts, followed, followers), np.split(numbers.reshape(-1), ends)
