"""What is known of each optimizer without computing: its rates and its state; `optim` has how it moves weights."""

from dataclasses import dataclass
from typing import Literal

OptimizerKind = Literal["adamw", "muon"]


@dataclass(frozen=True)
class OptimizerRow:
    """One optimizer: the settings that are its peak rates, the one that is shown first, and numbers that it keeps.

    `matrix_state` is for each weight of the matrices inside the blocks, `state` for each other weight. With
    `makes_updates` the updates of those matrices are made beside the weights, a slice at a time.
    """

    rates: tuple[str, ...]
    matrix_state: int
    state: int
    makes_updates: bool = False


OPTIMIZERS: dict[OptimizerKind, OptimizerRow] = {
    "adamw": OptimizerRow(("lr",), 2, 2),
    "muon": OptimizerRow(("muon_lr", "lr"), 1, 2, makes_updates=True),
}
