"""The optimizers as a configuration knows them: settings, rates, what they keep; `optim` has how they move weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from chainrule.config.section import Section


@dataclass(frozen=True)
class OptimizerRow:
    """One optimizer, for who plans a run, shows its rates or slows them down."""

    rates: tuple[str, ...]
    """The settings that are its peak learning rates, the one that is shown first."""
    matrix_bytes: int
    """Bytes of state for each weight of the matrices inside the blocks."""
    other_bytes: int
    """Bytes of state for each other weight."""
    makes_updates: bool = False
    """Whether the updates of those matrices are made beside the weights, a slice at a time."""

    def state_bytes(self, n_matrix: int, n_other: int) -> int:
        """Bytes that it keeps for a model with so many weights in the matrices of its blocks, and outside of them."""
        return self.matrix_bytes * n_matrix + self.other_bytes * n_other


OPTIMIZERS: Mapping[str, OptimizerRow] = {
    "adamw": OptimizerRow(("lr",), matrix_bytes=8, other_bytes=8),
    "muon": OptimizerRow(("muon_lr", "lr"), matrix_bytes=4, other_bytes=8, makes_updates=True),
}

# The names that a file and a flag may give are the rows': no second list to keep.
if TYPE_CHECKING:
    OptimizerKind = str
else:
    OptimizerKind = Literal[tuple(OPTIMIZERS)]


class OptimizerConfig(Section):
    """How gradients move the weights."""

    kind: OptimizerKind = "adamw"
    """adamw for all weights, or muon for the matrices inside the blocks and adamw for the rest."""
    lr: Annotated[float, Field(gt=0, le=10)] = 6e-4
    """Peak learning rate of adamw."""
    muon_lr: Annotated[float, Field(gt=0, le=10)] = 0.02
    """Peak learning rate of muon, which moves each matrix by about this share of its typical size."""
    weight_decay: Annotated[float, Field(ge=0, lt=10)] = 0.1
    """Pull of matrices towards zero, multiplied by the learning rate; norms and biases are left alone."""
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Memory of adamw's mean gradient."""
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Memory of adamw's mean squared gradient."""
    eps: Annotated[float, Field(gt=0, lt=1)] = 1e-8
    """Keeps adamw from dividing by zero."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Memory of muon's gradient (Nesterov)."""
    grad_clip: Annotated[float, Field(ge=0)] = 1.0
    """Largest norm of the whole gradient; beyond it the gradient is scaled down. 0 switches clipping off."""

    @property
    def row(self) -> OptimizerRow:
        """What is known of this kind."""
        return OPTIMIZERS[self.kind]

    @property
    def peak_rates(self) -> dict[str, float]:
        """The learning rates at their peak by the names of their settings, the one that is shown first."""
        return {name: getattr(self, name) for name in self.row.rates}
