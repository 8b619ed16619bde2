"""How a person sees a run while it goes: the trainer tells, whoever listens shows."""

from collections.abc import Callable

from chainrule.run import Record

Watch = Callable[[Record], None]
"""Called with what is written into the run folder, and with what is only heard: Progress, Saved, Replanned."""


def silent(record: Record) -> None:
    """Shows nothing: the run folder has it all."""
