"""How gradients move the weights: a class for each optimizer, AdamW and Muon, and learning rate schedules."""

from chainrule.optim.build import Optimizer
from chainrule.optim.muon import Muon
from chainrule.optim.orthogonal import orthogonalise
from chainrule.optim.schedule import rate_factor, window_pieces

__all__ = ["Muon", "Optimizer", "orthogonalise", "rate_factor", "window_pieces"]
