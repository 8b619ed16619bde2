"""Parameters, operations, memory and time: arithmetic on a configuration, without torch."""

from chainrule.plan.choose import DEFAULT_MINUTES, LADDER, choose, with_automatic
from chainrule.plan.cost import Machine, flops_per_token, run_tokens, tokens_per_second, training_seconds
from chainrule.plan.count import Parameters, parameters
from chainrule.plan.disk import checkpoint_bytes, checkpoints_to_come
from chainrule.plan.memory import Memory, check_memory, memory_bytes
from chainrule.plan.more import MORE_MINUTES, Foretold, foretell

__all__ = [
    "DEFAULT_MINUTES",
    "LADDER",
    "MORE_MINUTES",
    "Foretold",
    "Machine",
    "Memory",
    "Parameters",
    "check_memory",
    "checkpoint_bytes",
    "checkpoints_to_come",
    "choose",
    "flops_per_token",
    "foretell",
    "memory_bytes",
    "parameters",
    "run_tokens",
    "tokens_per_second",
    "training_seconds",
    "with_automatic",
]
