"""Which source each sample is from, when sources are read by weights: a pure function of the sample's number.

Weights become whole shares of a cycle, in which each source is spread evenly; so the source of any sample, and how many
of that source come before it, are looked up, and a resume needs no history. Stages have cycles of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chainrule.base import DataError, nearest
from chainrule.config import MixtureStage

# Samples of a cycle: a share is kept to within half of one of these.
CYCLE = 4096


@dataclass(frozen=True)
class _Cycle:
    """The sources of a stage's samples, by their place in the cycle, and how many of each come before."""

    start: int
    before: NDArray[np.int64]
    """[sources]: samples of each in the stages before."""
    order: NDArray[np.int64]
    """[CYCLE]"""
    earlier: NDArray[np.int64]
    """[CYCLE + 1, sources]"""

    def counts(self, sample: int) -> NDArray[np.int64]:
        """Samples of each source before this one, those of earlier stages included."""
        cycles, place = divmod(sample - self.start, CYCLE)
        return self.before + cycles * self.earlier[-1] + self.earlier[place]


class Mixture:
    """The order of sources over a whole run."""

    def __init__(self, stages: Sequence[MixtureStage], sources: Sequence[str], context_length: int) -> None:
        """Raises DataError for a source of which there is no training text."""
        for name in (name for stage in stages for name in stage.shares):
            if name not in sources:
                raise DataError(
                    f"text.mixture: there is no training text of a source {name!r}.{nearest(name, sources)} "
                    f"There are: {', '.join(sources)}"
                )
        self._cycles = list[_Cycle]()
        before = np.zeros(len(sources), np.int64)
        for stage in stages:
            start = -(-stage.start_tokens // context_length)
            before = self._cycles[-1].counts(start) if self._cycles else before
            order = _spread([stage.shares.get(name, 0.0) for name in sources])
            earlier = np.cumsum(order[:, None] == np.arange(len(sources)), axis=0)
            earlier = np.concatenate([np.zeros((1, len(sources)), np.int64), earlier])
            self._cycles.append(_Cycle(start, before, order, earlier))

    def parts(self, samples: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each sample the number of its source, and its number among the samples of that source."""
        sources, numbers = np.empty_like(samples), np.empty_like(samples)
        stages = np.searchsorted([cycle.start for cycle in self._cycles], samples, "right") - 1
        for stage in np.unique(stages):
            cycle, here = self._cycles[stage], stages == stage
            cycles, places = np.divmod(samples[here] - cycle.start, CYCLE)
            source = cycle.order[places]
            sources[here] = source
            numbers[here] = cycle.before[source] + cycles * cycle.earlier[-1][source] + cycle.earlier[places, source]
        return sources, numbers


def _spread(shares: Sequence[float]) -> NDArray[np.int64]:
    """The sources of a cycle's places: whole numbers of each (the largest remainders are rounded up), evenly spread."""
    wanted = np.array(shares) * CYCLE
    counts = np.floor(wanted).astype(np.int64)
    # Whoever has a share at all is read.
    counts[(counts == 0) & (wanted > 0)] = 1
    short = CYCLE - int(counts.sum())
    rest = np.argsort(-(wanted - counts), kind="stable")
    if short >= 0:
        counts[rest[:short]] += 1
    else:
        counts[np.argmax(counts)] += short
    places = np.concatenate([(np.arange(n) + 0.5) / n for n in counts if n] or [np.empty(0)])
    sources = np.repeat(np.arange(len(shares)), counts)
    return sources[np.lexsort((sources, places))]
