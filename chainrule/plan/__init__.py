"""Parameters, operations, memory and time: arithmetic on a configuration, without torch."""

from chainrule.plan.at_scale import LAW_FROM, LAW_TO, ScalePlan, Wish, plan_machines
from chainrule.plan.choice import choose, with_automatic
from chainrule.plan.cost import Machine, flops_per_token, run_tokens, tokens_per_second, training_seconds
from chainrule.plan.count import Parameters, parameters
from chainrule.plan.described import described_machine, parameter_rows
from chainrule.plan.devices import DEVICES, Device, Machines, parse_machines, read_devices
from chainrule.plan.disk import checkpoint_bytes, checkpoints_to_come
from chainrule.plan.drafting import check_layers, draft, time_budget
from chainrule.plan.ending import ForetoldEnd, expected_on_the_way, foretell_end
from chainrule.plan.fit import FittedLaw, Measured, Range, fit_law, fit_with_range
from chainrule.plan.foreseen import ForeseenRun, foresee
from chainrule.plan.given import given_layers
from chainrule.plan.laws import EPOCH, HOFFMANN, Allocation, LossLaw, step_law
from chainrule.plan.layout import Layout, check_layout, check_trained, layout_of, parse_layout
from chainrule.plan.memory import Memory, check_memory, copy_bytes, memory_bytes
from chainrule.plan.memory_of_ranks import RankMemory, rank_memory
from chainrule.plan.more import MORE_MINUTES, Foretold, foretell
from chainrule.plan.placing import Placed
from chainrule.plan.update_time import Shares, StepTime, step_time

__all__ = [
    "DEVICES",
    "EPOCH",
    "HOFFMANN",
    "LAW_FROM",
    "LAW_TO",
    "MORE_MINUTES",
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
    "Placed",
    "Range",
    "RankMemory",
    "ScalePlan",
    "Shares",
    "StepTime",
    "Wish",
    "check_layers",
    "check_layout",
    "check_memory",
    "check_trained",
    "checkpoint_bytes",
    "checkpoints_to_come",
    "choose",
    "copy_bytes",
    "described_machine",
    "draft",
    "expected_on_the_way",
    "fit_law",
    "fit_with_range",
    "flops_per_token",
    "foresee",
    "foretell",
    "foretell_end",
    "given_layers",
    "layout_of",
    "memory_bytes",
    "parameter_rows",
    "parameters",
    "parse_layout",
    "parse_machines",
    "plan_machines",
    "rank_memory",
    "read_devices",
    "run_tokens",
    "step_law",
    "step_time",
    "time_budget",
    "tokens_per_second",
    "training_seconds",
    "with_automatic",
]
