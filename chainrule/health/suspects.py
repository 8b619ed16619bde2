"""The first place of a pass that is out of line with ordinary batches, in the order of outputs or of gradients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from chainrule.health.portions import Passage, Reading
from chainrule.health.spikes import SCORE, ratio_score

# A handful of batches says little about their spread: beside the robust score, at least three times the largest.
FACTOR = 3.0


@dataclass(frozen=True)
class Suspect:
    """A module whose output (`way` forward) or its gradient (backward) is not finite or out of line.

    `value` is a root mean square or, where that is in line, the largest magnitude (`quantity` says which); `usual` the
    median of the ordinary batches.
    """

    path: str
    way: str
    quantity: str
    value: float
    usual: float
    finite: bool

    def __str__(self) -> str:
        place = self.path or "the model’s output"
        what = "output" if self.way == "forward" else "gradient"
        said = f"{self.value:.3g}, usually {self.usual:.3g}" if self.finite else f"not finite, usually {self.usual:.3g}"
        return f"{place}: {self.quantity} of its {what} {said}"


def first_suspect(batch: Passage, ordinary: Sequence[Passage], way: str) -> Suspect | None:
    """The first module in the order of `way` ("forward" or "backward") that is not finite or out of line.

    Out of line: a robust score above 8 of the logarithm (see SpikeDetector), and at least three times the largest of
    the ordinary batches.
    """
    for path, reading in _way(batch, way).items():
        usual = [found for one in ordinary if (found := _way(one, way).get(path)) is not None and found.finite]
        for quantity, name in (("root mean square", "rms"), ("largest magnitude", "largest")):
            value, others = getattr(reading, name), [getattr(one, name) for one in usual]
            middle = median(others) if others else float("nan")
            if not reading.finite or _out_of_line(value, others):
                return Suspect(path, way, quantity, value, middle, reading.finite)
    return None


def first_difference(own: Passage, exact: Passage, way: str) -> Suspect | None:
    """The first module whose reading differs from an exact replay of the same batch: not finite, or by half."""
    for path, reading in _way(own, way).items():
        right = _way(exact, way).get(path)
        if right is None or not right.finite:
            continue
        if not reading.finite or not right.rms / 1.5 <= reading.rms <= right.rms * 1.5:
            return Suspect(path, way, "root mean square", reading.rms, right.rms, reading.finite)
    return None


def _out_of_line(value: float, usual: Sequence[float]) -> bool:
    return bool(usual) and ratio_score(value, usual) > SCORE and value > FACTOR * max(usual)


def _way(one: Passage, way: str) -> Mapping[str, Reading]:
    return one.forward if way == "forward" else one.backward
