"""The machine a run is on: what its processor can do, which device, number format and threads were chosen, and why."""

from chainrule.device.checkup import check_up, extras
from chainrule.device.facts import MachineFacts, machine_table
from chainrule.device.freed import freed_memory_kept
from chainrule.device.machine import choose_device, look_at_machine, on_threads
from chainrule.device.peak import BUSY_SHARE, Peaks
from chainrule.device.precision import Precision
from chainrule.device.threads import use_threads

__all__ = [
    "BUSY_SHARE",
    "MachineFacts",
    "Peaks",
    "Precision",
    "check_up",
    "choose_device",
    "extras",
    "freed_memory_kept",
    "look_at_machine",
    "machine_table",
    "on_threads",
    "use_threads",
]
