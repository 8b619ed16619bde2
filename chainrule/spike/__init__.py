"""Reading the bundle of a step that went wrong, replaying it, and saying why."""

from chainrule.spike.explanation import SpikeReport, explain_spike
from chainrule.spike.written import spike_facts, spike_lines

__all__ = [
    "SpikeReport",
    "explain_spike",
    "spike_facts",
    "spike_lines",
]
