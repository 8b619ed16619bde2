"""How much of what a model wrote stands word for word in its training text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.data import TokenStore

Ids = NDArray[np.int64]
Hashes = NDArray[np.uint64]
CHUNK_TOKENS = 2**21
PAIRS_AT_ONCE = 2**18
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no power of it vanishes modulo 2^64
MIXED = np.uint64(0xD6E8FEB86659FD93)
TABLE_BITS = 20


@dataclass(frozen=True)
class Copy:
    """The longest run of one sample that also stands in the training text.

    `length` is in tokens, 0 when no run reaches the search's seed; `start` is its place in the sample, `position` its
    place in the training tokens. `copied` holds the stretches (start, end) of the sample that lie inside copies of at
    least `min_run` tokens, merged and in order; `share` is their share of the sample's tokens.
    """

    length: int
    start: int
    position: int
    copied: tuple[tuple[int, int], ...]
    share: float


def longest_copies(
    samples: Sequence[Sequence[int]],
    store: TokenStore,
    *,
    min_run: int = 32,
    seed: int = 8,
    max_tokens: int | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Copy]:
    """Finds for each sample (token ids) its longest exact match in `store`, and the stretches of `min_run` or more.

    Every window of `seed` tokens is hashed, in the samples and, a few million tokens at a time, in the store; where two
    hashes meet, the tokens themselves are compared, so that no reported copy rests on a hash. Runs shorter than `seed`
    are not looked for; of a store beyond `max_tokens`, the first so many are searched. Memory stays below about 150 MB
    whatever the size of the store, and a text that says the same again and again costs little more than another one.
    `check` is called now and then, and may raise to stop.
    """
    if not 1 <= seed <= min_run:
        raise ValueError(f"seed={seed} must be between 1 and min_run={min_run}")
    if not samples:
        return []
    search = _Search(samples, seed)
    found = [_Found(len(sample), min_run) for sample in samples]
    for origin, chunk in _chunks(store, max_tokens or store.n_tokens, search.longest):
        check()
        for sample, start, position, length in search.matches(chunk, at_start=origin == 0):
            _note(found, sample, start, position + origin, length)
            search.leave([one.is_whole for one in found])
            check()
    return [one.result() for one in found]


def _chunks(store: TokenStore, most: int, longest: int) -> Iterator[tuple[int, Ids]]:
    """Pieces that overlap by the longest possible match and one token before it, each with its first position."""
    n_tokens = min(store.n_tokens, most)
    for start in range(0, n_tokens, CHUNK_TOKENS):
        first = max(0, start - 1)
        end = min(n_tokens, start + CHUNK_TOKENS + longest)
        yield first, store.read(first, end - first)


class _Search:
    """The samples laid end to end, with a separator that no token equals, and the hashes of their windows."""

    def __init__(self, samples: Sequence[Sequence[int]], seed: int) -> None:
        self.seed = seed
        self.longest = max((len(sample) for sample in samples), default=0)
        parts = [np.asarray([-1, *sample], np.int64) for sample in samples]
        self.tokens: Ids = np.concatenate([*parts, np.full(max(seed, 1), -1, np.int64)])
        self.owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        self.begin = np.cumsum([0, *(len(part) for part in parts)])[:-1] + 1
        windows = np.arange(len(self.tokens) - seed + 1)
        inside = np.lib.stride_tricks.sliding_window_view(self.tokens, seed).min(axis=1) >= 0
        self.places = windows[inside]
        # Of equal hashes those with the same token before them stand together.
        hashes, before = window_hashes(self.tokens, seed)[inside], self.tokens[self.places - 1]
        order = np.lexsort((before, hashes))
        self.places, self.hashes, self.before = self.places[order], hashes[order], before[order]
        self.table = np.zeros(2**TABLE_BITS, bool)
        self.table[_slot(self.hashes)] = True
        self.left = np.ones(len(parts), bool)

    def leave(self, whole: Sequence[bool]) -> None:
        """No more matches are wanted of the samples that were found as a whole."""
        self.left = ~np.array(whole)

    def matches(self, chunk: Ids, *, at_start: bool) -> Iterator[tuple[Ids, Ids, Ids, Ids]]:
        """Sample, start in it, position in the chunk and length of matches that could not begin earlier."""
        if len(chunk) < self.seed or not len(self.hashes):
            return
        hashes = window_hashes(chunk, self.seed)
        candidates = np.flatnonzero(self.table[_slot(hashes)])
        low = np.searchsorted(self.hashes, hashes[candidates], "left")
        high = np.searchsorted(self.hashes, hashes[candidates], "right")
        candidates, low, high = (one[low < high] for one in (candidates, low, high))
        # A match whose predecessor also matches is the inside of one that is found there: of each group of places those
        # with the same token before them are left out. In a text and a sample that both repeat themselves that is all
        # but one of a hundred.
        first, beyond = self._same_before(low, high, chunk[candidates - 1])
        if at_start:
            first, beyond = np.where(candidates == 0, low, first), np.where(candidates == 0, low, beyond)
        yield from self._pairs(chunk, candidates, (low, first, beyond, high))

    def _same_before(self, low: Ids, high: Ids, before: Ids) -> tuple[Ids, Ids]:
        """Within each group of places, the first with this token before it and the one after the last."""
        edges = []
        for beyond in (0, 1):
            # Bisection in all groups at once.
            left, right = low.copy(), high.copy()
            while (open_ := left < right).any():
                middle = (left + right) // 2
                less = open_ & (self.before[np.minimum(middle, len(self.before) - 1)] < before + beyond)
                left, right = np.where(less, middle + 1, left), np.where(open_ & ~less, middle, right)
            edges.append(left)
        return edges[0], edges[1]

    def _pairs(
        self, chunk: Ids, candidates: Ids, edges: tuple[Ids, Ids, Ids, Ids]
    ) -> Iterator[tuple[Ids, Ids, Ids, Ids]]:
        """What is common to each candidate of the chunk and its places in the samples, in the order of the chunk.

        Its places are those from the first edge up to the second, and from the third up to the fourth.
        """
        low, first, beyond, high = edges
        many = first - low + high - beyond
        blocks = np.cumsum(many) // PAIRS_AT_ONCE
        for block in np.unique(blocks[many > 0]):
            chosen = (blocks == block) & (many > 0)
            counts = many[chosen]
            position = np.repeat(candidates[chosen], counts)
            rank = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            over = rank >= np.repeat((first - low)[chosen], counts)
            skipped = over * np.repeat((beyond - first)[chosen], counts)
            place = self.places[np.repeat(low[chosen], counts) + rank + skipped]
            wanted = self.left[self.owner[place]]
            yield self._extend(chunk, place[wanted], position[wanted])

    def _extend(self, chunk: Ids, place: Ids, position: Ids) -> tuple[Ids, Ids, Ids, Ids]:
        length = np.zeros(len(place), np.int64)
        growing = np.arange(len(place))
        while len(growing):
            ahead = position[growing] + length[growing]
            growing, ahead = growing[ahead < len(chunk)], ahead[ahead < len(chunk)]
            growing = growing[self.tokens[place[growing] + length[growing]] == chunk[ahead]]
            length[growing] += 1
        real = length >= self.seed  # anything shorter was two windows with one hash
        sample = self.owner[place[real]]
        return sample, place[real] - self.begin[sample], position[real], length[real]


class _Found:
    """The best match of one sample so far, and which of its tokens are copied."""

    def __init__(self, n_tokens: int, min_run: int) -> None:
        self.min_run = min_run
        self.best = (0, 0, 0)
        self.edges = np.zeros(n_tokens + 1, np.int64)

    @property
    def is_whole(self) -> bool:
        """Whether all of the sample was found in one piece."""
        return self.best[0] == len(self.edges) - 1

    def add(self, start: Ids, position: Ids, length: Ids) -> None:
        longest = int(length.argmax())
        if length[longest] > self.best[0]:
            self.best = (int(length[longest]), int(start[longest]), int(position[longest]))
        long = length >= self.min_run
        np.add.at(self.edges, start[long], 1)
        np.add.at(self.edges, (start + length)[long], -1)

    def result(self) -> Copy:
        covered = np.cumsum(self.edges[:-1]) > 0
        turns = np.flatnonzero(np.diff(np.concatenate([[False], covered, [False]]).astype(np.int8)))
        copied = tuple((int(a), int(b)) for a, b in zip(turns[::2], turns[1::2], strict=True))
        return Copy(*self.best, copied, float(covered.mean()) if len(covered) else 0.0)


def _note(found: list[_Found], sample: Ids, start: Ids, position: Ids, length: Ids) -> None:
    for one in np.unique(sample):
        mine = sample == one
        found[one].add(start[mine], position[mine], length[mine])


def window_hashes(tokens: Ids, window: int) -> Hashes:
    """Polynomial hash modulo 2^64 of each run of `window` tokens, built from its halves in log2(window) passes."""
    if window == 1:
        return _single_hashes(tokens)
    half, odd = divmod(window, 2)
    halves = window_hashes(tokens, half)
    n = len(tokens) - window + 1
    joined = halves[:n] * _power(half) + halves[half : half + n]
    return joined * BASE + _single_hashes(tokens[window - 1 : window - 1 + n]) if odd else joined


def _single_hashes(tokens: Ids) -> Hashes:
    return (tokens.astype(np.uint64) + np.uint64(1)) * MIXED


def _power(exponent: int) -> np.uint64:
    return np.uint64(pow(int(BASE), exponent, 2**64))


def _slot(hashes: Hashes) -> NDArray[np.intp]:
    # The high bits of a product modulo 2^64 depend on all tokens of the window; the low ones do not.
    return (hashes * MIXED >> np.uint64(64 - TABLE_BITS)).astype(np.intp)
