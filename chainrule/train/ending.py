"""What the end of a run may cost: scoring, baselines, texts and report, bounded by the time and not by the text."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Of the time of the whole run, at most.
SHARES = {"score": 0.05, "again": 0.01, "baselines": 0.05, "texts": 0.05, "report": 0.03}
# Without a budget everything is done that takes no longer than this, or than those shares of the training.
CHEAP_SECONDS = {"score": 20.0, "again": 20.0, "baselines": 40.0, "texts": 40.0, "report": 30.0}
# Before one is measured: a forward pass costs a third of learning from the same tokens; writing one token's work for
# each token, at about a tenth of the speed of training.
FORWARD_SHARE, SAMPLE_SLOWDOWN = 1 / 3, 10
# What the parts take when nothing bounds them, before anything is measured. Wrong by a factor is no harm: the part
# itself is measured while it is done, and shortened. xz -9e on two of our machines made 0.9 MB/s of a thread.
OVERLAP = 2
COMPRESSED_BYTES_PER_SECOND, MOST_COMPRESSED = 0.9e6, 20 * 2**20
WRITTEN_TOKENS = 1500
# As long as a completion of the end gets where there is time.
COMPLETION_TOKENS = 160
PAGE_SECONDS, SEARCHED_TOKENS_PER_SECOND = 2.0, 20e6
# What bounds a part makes it take no more than a share of its time, and half of that on average: sizes are doubled.
# Pages are written in a tenth of what is kept for them, and texts in about twice the completions' time.
BOUNDED_SHARE, PAGE_SHARE, TEXTS_PER_COMPLETION = (0.7, 0.5), 0.1, 2.0


@dataclass(frozen=True)
class Ending:
    """Seconds that each part will probably take, and the most that it may: score, baselines, texts, report."""

    likely: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    whole: Mapping[str, float] = field(default_factory=dict)
    """What the parts would take if nothing bounded them."""

    @property
    def total(self) -> float:
        """Seconds that are kept for all parts."""
        return sum(self.likely.values())

    def expected(self, looks: float, completions: float) -> float:
        """Seconds that all parts will come to, where looks take `looks` times as long as was guessed, and `completions`
        seconds go into the completions. What is kept for the end (`total`) is more, so that a run is not late.
        """
        if not self.likely:
            return 0.0
        forward = {name: looks * self.whole[name] for name in ("score", "again")}
        bounded = forward | {"baselines": self.whole["baselines"]}
        measured = sum(_within(self.most[name], whole) for name, whole in bounded.items())
        texts, page = TEXTS_PER_COMPLETION * completions, PAGE_SHARE * self.likely["report"]
        return measured + min(self.most["texts"], texts) + page

    def allowed(self, name: str, left: float) -> float:
        """Seconds for the part `name` when `left` (infinite without a budget) are left for it and all that follow.

        A run that is late still does a tenth of what was planned: a figure from few windows is better than none.
        """
        names = list(self.likely)
        later = sum(self.likely[one] for one in names[names.index(name) :])
        share = self.likely[name] * left / max(later, 1e-9)
        return max(0.1 * self.likely[name], min(self.most[name], share))


def _within(most: float, whole: float) -> float:
    """Seconds of a part that would take `whole`, and that may take `most`."""
    fits, usual = BOUNDED_SHARE
    return whole if whole <= fits * most else usual * most


def most_seconds(name: str, budget: float | None, training: float) -> float:
    """The most that a part may take of a run of `budget` seconds, or of `training` seconds of steps."""
    return max(CHEAP_SECONDS[name], SHARES[name] * training) if budget is None else SHARES[name] * budget


@dataclass(frozen=True)
class Amounts:
    """How much text the end of a run is about: tokens, and bytes of both sides."""

    held_out: int
    again: int
    """Tokens that a model to go on from is scored on once more; 0 for a run from nothing."""
    train: int
    text_bytes: int


def ending_of(text: Amounts, *, budget: float | None, training: float, speed: float) -> Ending:
    """The parts of a run of `budget` seconds, or with `training` seconds of steps, at `speed` tokens a second."""
    whole = {
        "score": OVERLAP * FORWARD_SHARE * text.held_out / speed + 0.2,
        "again": FORWARD_SHARE * text.again / speed,
        "baselines": min(text.text_bytes, MOST_COMPRESSED) / COMPRESSED_BYTES_PER_SECOND + 0.2,
        "texts": SAMPLE_SLOWDOWN * WRITTEN_TOKENS / speed + 0.5,
        "report": PAGE_SECONDS + text.train / SEARCHED_TOKENS_PER_SECOND,
    }
    most = {name: most_seconds(name, budget, training) for name in SHARES}
    return Ending({name: min(whole[name], most[name]) for name in SHARES}, most, whole)
