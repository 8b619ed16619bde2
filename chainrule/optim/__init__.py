"""How gradients move the weights: groups, AdamW, Muon, and learning rate schedules."""

from chainrule.optim.build import Optimizer, parameter_groups
from chainrule.optim.muon import Muon
from chainrule.optim.orthogonal import orthogonalise
from chainrule.optim.schedule import SCHEDULES, rate_factor, window_pieces

__all__ = ["SCHEDULES", "Muon", "Optimizer", "orthogonalise", "parameter_groups", "rate_factor", "window_pieces"]
