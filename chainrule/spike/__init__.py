"""Reading the bundle of a step that went wrong, replaying it, and saying why."""

from chainrule.spike.explanation import SpikeReport, explain_spike

__all__ = [
    "SpikeReport",
    "explain_spike",
]
