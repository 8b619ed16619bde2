"""How gradients move the weights: a class for each optimizer, AdamW and Muon, and learning rate schedules."""

from chainrule.optim.build import OPTIMIZERS, Optimizer
from chainrule.optim.muon import SLICE_NUMBERS, Muon, MuonForMatrices
from chainrule.optim.orthogonal import orthogonalise
from chainrule.optim.schedule import rate_factor, window_pieces

__all__ = [
    "OPTIMIZERS",
    "SLICE_NUMBERS",
    "Muon",
    "MuonForMatrices",
    "Optimizer",
    "orthogonalise",
    "rate_factor",
    "window_pieces",
]
