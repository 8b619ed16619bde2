"""One rank of many, run on tensors without values: what it holds at its peak, and what it sends."""

from chainrule.simulate.ranks import Simulated, simulate
from chainrule.simulate.traffic import Sent

__all__ = [
    "Sent",
    "Simulated",
    "simulate",
]
