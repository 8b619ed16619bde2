"""Parameters, operations, memory and time: arithmetic on a configuration, without torch."""

from chainrule.plan.choice import choose, with_automatic
from chainrule.plan.cost import Machine, flops_per_token, run_tokens, tokens_per_second, training_seconds
from chainrule.plan.count import Parameters, parameters
from chainrule.plan.described import described_machine, parameter_rows
from chainrule.plan.devices import DEVICES, Device, Machines, parse_machines, read_devices
from chainrule.plan.disk import checkpoint_bytes, checkpoints_to_come
from chainrule.plan.drafting import check_layers, draft, time_budget
from chainrule.plan.ending import ForetoldEnd, foretell_end
from chainrule.plan.fit import FittedLaw, Measured, Range, fit_law, fit_with_range
from chainrule.plan.foreseen import ForeseenRun, foresee
from chainrule.plan.given import given_layers
from chainrule.plan.laws import EPOCH, HOFFMANN, MUENNIGHOFF, Allocation, LossLaw, law_for, step_law
from chainrule.plan.layout import Layout, check_layout
from chainrule.plan.memory import Memory, check_memory, copy_bytes, memory_bytes
from chainrule.plan.more import MORE_MINUTES, Foretold, foretell
from chainrule.plan.update_time import Shares, StepTime, step_time

__all__ = [
    "DEVICES",
    "EPOCH",
    "HOFFMANN",
    "MORE_MINUTES",
    "MUENNIGHOFF",
    "Allocation",
    "Device",
    "FittedLaw",
    "ForeseenRun",
    "Foretold",
    "ForetoldEnd",
    "Layout",
    "LossLaw",
    "Machine",
    "Machines",
    "Measured",
    "Memory",
    "Parameters",
    "Range",
    "Shares",
    "StepTime",
    "check_layers",
    "check_layout",
    "check_memory",
    "checkpoint_bytes",
    "checkpoints_to_come",
    "choose",
    "copy_bytes",
    "described_machine",
    "draft",
    "fit_law",
    "fit_with_range",
    "flops_per_token",
    "foresee",
    "foretell",
    "foretell_end",
    "given_layers",
    "law_for",
    "memory_bytes",
    "parameter_rows",
    "parameters",
    "parse_machines",
    "read_devices",
    "run_tokens",
    "step_law",
    "step_time",
    "time_budget",
    "tokens_per_second",
    "training_seconds",
    "with_automatic",
]
