"""What is tried, and in which order: a function of what has been measured so far, and of nothing else.

Rates move by one factor for all of them: Muon's and AdamW's were found together, and two of them would be twice the
trials. The first seed finds a candidate; others, which had no part in finding it, tell whether it is better: of several
tries the luckiest looks better than it is.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chainrule.run import Record
from chainrule.verdict import Paired, paired

SEARCH_SEED, MOST_PAIRS = 0, 6
FACTOR = 2.0
# A start that the range test says is nearer than this to the default is no other start.
NEAR = 1.5


@dataclass(frozen=True)
class Setting(Record):
    """A way to train: by how much the rates are those of the default, and tokens of an update."""

    rate: float
    batch_tokens: int


@dataclass(frozen=True)
class Trial(Record):
    """trials.jsonl: a setting with a seed; `bits` of held-out text at its end, None where it diverged."""

    setting: Setting
    seed: int
    bits: float | None = None
    seconds: float = 0.0
    steps: int = 0

    @property
    def name(self) -> str:
        """By which its run is found again."""
        return f"rate-{self.setting.rate:.4g}-batch-{self.setting.batch_tokens}-seed-{self.seed}"


@dataclass(frozen=True)
class Bounds(Record):
    """What a search may do: how many trials of rates and batches, and within which limits.

    For `n_pairs` of fresh seeds time is kept; where more is left there are up to MOST_PAIRS. How many there are is told
    by the time and never by what they show: who stops when it looks good finds what is not there. `edge` is the factor
    of the rates from which the range test saw the loss rise; None where it saw none. `start` is where it would begin.
    `batches` are worth trying by the noise scale, the most promising first.
    """

    n_rates: int = 0
    n_batches: int = 0
    n_pairs: int = 1
    edge: float | None = None
    start: float = 1.0
    batches: tuple[int, ...] = ()
    window_tokens: int = 1


def next_trial(default: Setting, done: Sequence[Trial], bounds: Bounds, n_left: int) -> Trial | None:
    """What to try next when there is time for `n_left` more; None when all that can be known is known."""
    if n_left < 1:
        return None
    found = by_setting(done, SEARCH_SEED)
    if default not in found:
        return Trial(default, SEARCH_SEED)
    # A candidate is worth finding while it can still be judged.
    if n_left > 2 * bounds.n_pairs and (candidate := _candidate(default, found, bounds)) is not None:
        return Trial(candidate, SEARCH_SEED)
    winner = best(default, done)
    if winner == default:
        return None
    done_so_far = {(trial.setting, trial.seed) for trial in done}
    for seed in range(SEARCH_SEED + 1, SEARCH_SEED + 1 + MOST_PAIRS):
        missing = [one for one in (default, winner) if (one, seed) not in done_so_far]
        if missing and n_left >= len(missing):
            return Trial(missing[0], seed)
    return None


def best(default: Setting, done: Sequence[Trial]) -> Setting:
    """The setting with the lowest figure of the first seed; the default where nothing is lower."""
    found = by_setting(done, SEARCH_SEED)
    return min(found, key=lambda one: (found[one], one != default), default=default)


def judged(default: Setting, winner: Setting, done: Sequence[Trial]) -> Paired | None:
    """Winner against default in the seeds that had no part in choosing it."""
    return paired(_fresh(done, default), _fresh(done, winner))


def by_setting(done: Sequence[Trial], seed: int) -> dict[Setting, float]:
    """The figures of one seed; infinite where it diverged."""
    return {one.setting: math.inf if one.bits is None else one.bits for one in done if one.seed == seed}


def diverged(setting: Setting, done: Sequence[Trial]) -> int:
    """In how many fresh seeds it came to no figure."""
    return sum(one.bits is None for one in done if one.setting == setting and one.seed != SEARCH_SEED)


def _fresh(done: Sequence[Trial], setting: Setting) -> Mapping[int, float]:
    """By seed, of those in which it did not diverge."""
    found = {one.seed: one.bits for one in done if one.setting == setting and one.seed != SEARCH_SEED}
    return {seed: bits for seed, bits in found.items() if bits is not None}


def _candidate(default: Setting, found: Mapping[Setting, float], bounds: Bounds) -> Setting | None:
    """The next rate while there are trials of rates, then the next batch."""
    rates = {one.rate for one in found if one.batch_tokens == default.batch_tokens}
    if len(rates) - 1 < bounds.n_rates:
        for rate in _rates(default, found, bounds):
            if rate not in rates:
                return Setting(rate, default.batch_tokens)
    tried = {one.batch_tokens for one in found}
    for batch in _batches(default, found, bounds) if len(tried) - 1 < bounds.n_batches else ():
        if batch not in tried:
            # A batch twice as large bears a rate √2 as high: the noise of its gradient is as much less (Malladi et
            # al., arXiv 2205.10287). Whether that holds here is what is measured.
            return Setting(_best_rate(default, found) * math.sqrt(batch / default.batch_tokens), batch)
    return None


def _batches(default: Setting, found: Mapping[Setting, float], bounds: Bounds) -> Iterator[int]:
    """Farther the way that has paid, then what the noise scale speaks for: half and twice, in whole windows."""
    best_one = min(found, key=found.__getitem__).batch_tokens
    if best_one != default.batch_tokens:
        yield 2 * best_one if best_one > default.batch_tokens else halved(best_one, bounds.window_tokens)
    yield from bounds.batches


def halved(batch_tokens: int, window: int) -> int:
    """Half of the batch in whole windows, at least one."""
    return max(1, batch_tokens // window // 2) * window


def _rates(default: Setting, found: Mapping[Setting, float], bounds: Bounds) -> Iterator[float]:
    """The range test's start, then the neighbours of the best, upwards first, below the edge."""
    allowed = math.inf if bounds.edge is None else bounds.edge
    if not 1 / NEAR < bounds.start < NEAR:
        yield bounds.start
    rate = _best_rate(default, found)
    for neighbour in (rate * FACTOR, rate / FACTOR):
        if neighbour < allowed:
            yield neighbour


def _best_rate(default: Setting, found: Mapping[Setting, float]) -> float:
    same = {one: bits for one, bits in found.items() if one.batch_tokens == default.batch_tokens}
    return min(same, key=same.__getitem__).rate
