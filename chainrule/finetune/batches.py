"""What fine-tuning learns from, in its order: epochs of packed examples, and a share of base text."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chainrule.data import Batches, Windows
from chainrule.finetune.packing import Packed

# Shares are kept to this fraction, so that integers alone decide which sample is one of base text.
UNIT = 1 << 20


@dataclass(frozen=True)
class ExampleBatches:
    """Windows as a pure function of the seed and the samples consumed; each epoch has an order of its own."""

    packed: Packed
    seed: int
    base: Batches | None = None
    """Base text in windows of the same length."""
    base_share: float = 0.0
    """The share of the *learnt tokens* that are base text."""

    @cached_property
    def window_share(self) -> float:
        """The share of the windows that are base text: fewer, because all of their tokens are learnt."""
        if self.base is None:
            return 0.0
        mean = float(self.packed.trained.sum()) / len(self.packed)
        length = self.packed.ids.shape[1] - 1
        return self.base_share * mean / (self.base_share * mean + (1 - self.base_share) * length)

    def windows(self, first_sample: int, count: int, n_pieces: int = 1) -> Windows:
        """The samples first_sample … first_sample + count - 1 of the run; windows are never cut into pieces."""
        samples = np.arange(first_sample, first_sample + count, dtype=np.int64)
        units = round(self.window_share * UNIT)
        # Of the first k samples, floor(k * share) are base text: the place of each follows from k alone.
        n_base = samples * units // UNIT
        is_base = (samples + 1) * units // UNIT > n_base
        found = self.packed.windows(self._places(samples - n_base))
        if self.base is None or not is_base.any():
            return found
        for row in np.flatnonzero(is_base):
            found.ids[row] = self.base.windows(int(n_base[row]), 1).ids[0]
            assert found.documents is not None and found.trained is not None
            found.documents[row], found.trained[row] = 0, True
        return found

    def _places(self, samples: NDArray[np.int64]) -> NDArray[np.int64]:
        epochs, places = np.divmod(samples, len(self.packed))
        found = np.empty_like(samples)
        for epoch in np.unique(epochs):
            order = np.random.default_rng([self.seed, int(epoch)]).permutation(len(self.packed))
            found[epochs == epoch] = order[places[epochs == epoch]]
        return found
