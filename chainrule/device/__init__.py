"""The machine a run is on: what its processor can do, which device, number format and threads were chosen, and why."""

from chainrule.device.advice import left_on_the_table
from chainrule.device.checkup import Extra, Finding, check_up, extras
from chainrule.device.facts import MachineFacts, machine_table
from chainrule.device.machine import choose_device, look_at_machine, on_threads
from chainrule.device.measured import Measured, measure_machine, measured_table
from chainrule.device.peak import BUSY_SHARE, Peaks
from chainrule.device.precision import Precision, use_tensor_float
from chainrule.device.surroundings import Surroundings, look_around, surroundings_table
from chainrule.device.threads import use_threads

__all__ = [
    "BUSY_SHARE",
    "Extra",
    "Finding",
    "MachineFacts",
    "Measured",
    "Peaks",
    "Precision",
    "Surroundings",
    "check_up",
    "choose_device",
    "extras",
    "left_on_the_table",
    "look_around",
    "look_at_machine",
    "machine_table",
    "measure_machine",
    "measured_table",
    "on_threads",
    "surroundings_table",
    "use_tensor_float",
    "use_threads",
]
