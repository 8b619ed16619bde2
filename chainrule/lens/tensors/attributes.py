"""What is known of one tensor, as data."""

from dataclasses import dataclass
from typing import Any

import torch

from chainrule.lens.tensors.layout import Layout, Viewing
from chainrule.lens.tensors.memory import Sharing
from chainrule.lens.tensors.values import Values
from chainrule.lens.tensors.words import NumpyWay, Place


@dataclass(frozen=True)
class TensorFacts:
    """One tensor. `flat` is whether `.view(-1)` works; `elements` are nested lists of a small tensor, else None.

    `made` says how numbers that were no tensor became one. `foreign` is memory that torch did not allocate: NumPy's, or
    a file's. `base` is the shape of the tensor that it is a view of, as far as autograd knows.
    """

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    made: str
    device: str
    layout: Layout
    element_bytes: int
    storage_bytes: int
    foreign: bool
    base: tuple[int, ...] | None
    sharing: Sharing | None
    flat: Viewing
    numpy: NumpyWay | None
    autograd: Place
    values: Values | None
    elements: Any | None

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.shape)

    @property
    def n_elements(self) -> int:
        """How many numbers it holds."""
        return torch.Size(self.shape).numel()

    @property
    def n_bytes(self) -> int:
        """Bytes of its elements, if each had its own place."""
        return self.n_elements * self.element_bytes
