"""Loss by place in the window: what a model gains from having more to look back on."""

import numpy as np
from numpy.typing import NDArray


class PlaceTally:
    """Sums of losses at places 1, 2, 3 to 4, 5 to 8, … of windows: each stretch goes twice as far as the last."""

    def __init__(self) -> None:
        self._nats = np.zeros(0)
        self._windows = 0

    def add(self, losses: NDArray[np.float64]) -> None:
        """Takes in the losses (nats a token) of whole windows [B, T], all of one length."""
        self._nats = losses.sum(0) + (self._nats if self._windows else 0.0)
        self._windows += len(losses)

    @property
    def ends(self) -> tuple[int, ...]:
        """Up to which place each stretch goes."""
        length = len(self._nats)
        return (*(2**k for k in range(length.bit_length()) if 2**k < length), length) if length else ()

    @property
    def means(self) -> tuple[float, ...]:
        """Nats a token of each stretch."""
        if not self._windows:
            return ()
        starts = [0, *self.ends[:-1]]
        counts = (np.array(self.ends) - starts) * self._windows
        return tuple(float(f"{mean:.6g}") for mean in np.add.reduceat(self._nats, starts) / counts)
