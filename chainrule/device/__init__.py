"""The machine a run is on: what its processor can do, which device, number format and threads were chosen, and why."""

from chainrule.device.freed import keep_freed_memory
from chainrule.device.machine import MachineFacts, choose_device, look_at_machine

__all__ = ["MachineFacts", "choose_device", "keep_freed_memory", "look_at_machine"]
