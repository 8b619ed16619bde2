"""A look at pairs of answers before they are learnt from: what would be learnt instead of what was meant."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.verdict import share_interval

# Cohen's word for a medium effect (Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2).
MEDIUM = 0.5
# A prompt that an answer quotes; shorter ones stand in many answers by chance.
LEAST_LEAK = 20


@dataclass(frozen=True)
class TextPair:
    """A prompt and two answers."""

    prompt: str
    chosen: str
    rejected: str


@dataclass(frozen=True)
class PairFindings:
    """Numbers (from 1) of the pairs in which something is found, and how much longer chosen answers are.

    `length_effect` is Cohen's d of the paired differences of ln(length): their mean over their standard deviation; None
    below three pairs. A model that learns "longer is better" is right as often as `n_longer` of `n` says.
    """

    n: int
    identical: tuple[int, ...]
    empty: tuple[int, ...]
    duplicates: tuple[int, ...]
    contradictory: tuple[int, ...]
    """The same two answers were preferred the other way round before."""
    leaks: tuple[int, ...]
    """One of the answers quotes the whole prompt and the other does not."""
    length_effect: float | None
    n_longer: int

    def lines(self) -> list[str]:
        """What to know before training, a sentence each; nothing where nothing was found."""
        kinds = {
            "have two identical answers, which teach nothing": self.identical,
            "have an empty answer": self.empty,
            "were there before": self.duplicates,
            "contradict an earlier one": self.contradictory,
            "quote the prompt in one answer alone, which is easier to learn than what was meant": self.leaks,
        }
        told = [f"{len(found):,} of {self.n:,} pairs {what} ({_some(found)})" for what, found in kinds.items() if found]
        if self.length_effect is not None and abs(self.length_effect) >= MEDIUM:
            low, high = share_interval(self.n_longer, self.n)
            told.append(
                f"chosen answers are {'longer' if self.length_effect > 0 else 'shorter'} (effect size d = "
                f"{self.length_effect:.2f}; the longer one is chosen in {low:.0%} to {high:.0%} of pairs): length "
                "alone could be learnt; balance it, or use simpo, which divides by it"
            )
        return told


def lint_pairs(pairs: Sequence[TextPair]) -> PairFindings:
    """Looks at the pairs as texts, in one pass."""
    seen = set[TextPair]()
    found: dict[str, list[int]] = {name: [] for name in ("identical", "empty", "duplicates", "contradictory", "leaks")}
    for number, pair in enumerate(pairs, start=1):
        turned = TextPair(pair.prompt, pair.rejected, pair.chosen)
        marks = {
            "identical": pair.chosen == pair.rejected,
            "empty": not (pair.chosen.strip() and pair.rejected.strip()),
            "duplicates": pair in seen,
            "contradictory": turned in seen and pair.chosen != pair.rejected,
            "leaks": _leaks(pair),
        }
        for name, marked in marks.items():
            if marked:
                found[name].append(number)
        seen.add(pair)
    longer = [math.log1p(len(pair.chosen)) - math.log1p(len(pair.rejected)) for pair in pairs]
    return PairFindings(
        n=len(pairs),
        **{name: tuple(numbers) for name, numbers in found.items()},
        length_effect=_effect(longer),
        n_longer=sum(one > 0 for one in longer),
    )


def _leaks(pair: TextPair) -> bool:
    prompt = pair.prompt.strip()
    return len(prompt) >= LEAST_LEAK and (prompt in pair.chosen) != (prompt in pair.rejected)


def _effect(differences: list[float]) -> float | None:
    if len(differences) < 3:
        return None
    mean, spread = statistics.fmean(differences), statistics.stdev(differences)
    return mean / spread if spread else math.copysign(math.inf, mean) if mean else 0.0


def _some(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
