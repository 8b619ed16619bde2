"""The one table of a machine: what was found, what was measured, what was chosen."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from chainrule.base import CLASSES, ProcessorClass, bytes_text
from chainrule.plan import Machine


@dataclass(frozen=True)
class MachineFacts:
    """What was found, measured and chosen; `peak_flops` is the FLOP/s that a large matrix product can be planned with.

    `memory_bytes` can be had now, `installed_bytes` are there in all. `measured` holds FLOP/s by number format, of one
    core or of the whole GPU, and `core_share` how much of its core the measurement got: less than 0.8 means that
    another program computed. `thread_choices` are tried before the first step; `threads` is the one that was taken.
    """

    cpu: str
    cores: int
    threads: int
    memory_bytes: int
    device: str
    device_name: str
    reason: str
    precision: str
    precision_reason: str
    kernels: str
    kernels_reason: str
    peak_flops: float
    torch: str
    python: str
    processor_class: str = "other"
    logical_cores: int = 0
    fast_cores: int = 0
    quota: float | None = None
    installed_bytes: int = 0
    thread_choices: tuple[int, ...] = ()
    spins: str = ""
    measured: dict[str, float] = field(default_factory=dict)
    measured_seconds: float = 0.0
    core_share: float = 1.0
    layout: str = "one process"
    """How a run lies on several processes, whose peak is then that of all."""
    warnings: tuple[str, ...] = ()

    @property
    def kind(self) -> ProcessorClass:
        """The class of the processor, as torch uses it."""
        return CLASSES[self.processor_class]

    @property
    def planned(self) -> Machine:
        """What the plan needs of it."""
        return Machine(self.threads, self.memory_bytes, self.peak_flops, self.device)

    def row(self) -> dict[str, Any]:
        """All facts by name."""
        return asdict(self)


def machine_table(facts: MachineFacts) -> list[tuple[str, str, str]]:
    """Rows of the table: found, measured or chosen; of what; and what it is."""
    slow = facts.cores - facts.fast_cores if facts.fast_cores else 0
    quota = f", a quota of {facts.quota:g}" if facts.quota is not None else ""
    found = (
        ("processor", facts.cpu),
        ("class", f"{facts.processor_class}: {facts.kind.words}"),
        (
            "cores",
            f"{facts.cores} usable{f', {slow} of them slow' if slow > 0 else ''} of {facts.logical_cores}{quota}",
        ),
        ("memory", f"{bytes_text(facts.memory_bytes)} can be had of {bytes_text(facts.installed_bytes)}"),
        ("waiting threads spin", facts.spins),
    )
    of_what = "one core" if facts.device == "cpu" else "the whole device"
    measured = [
        (name, f"{flops / 1e9:,.1f} GFLOP/s, {of_what}{_least(facts, name)}") for name, flops in facts.measured.items()
    ]
    measured.append(("time it took", f"{facts.measured_seconds:.2f} s, {facts.core_share:.0%} of its core's time"))
    chosen = (
        ("device", f"{facts.device}: {facts.reason}"),
        ("precision", f"{facts.precision}: {facts.precision_reason}"),
        ("kernels", f"{facts.kernels}: {facts.kernels_reason}"),
        ("threads", _threads(facts)),
        ("planned with", f"{facts.peak_flops / 1e9:,.0f} GFLOP/s"),
    )
    sections: tuple[tuple[str, Sequence[tuple[str, str]]], ...] = (
        ("found", found),
        ("measured", measured),
        ("chosen", chosen),
    )
    return [(section, name, value) for section, rows in sections for name, value in rows]


def _least(facts: MachineFacts, precision: str) -> str:
    least = facts.kind.least_flops(precision) if facts.device == "cpu" else 0.0
    return f" (its class: {least / 1e9:,.0f} at the least)" if least else ""


def _threads(facts: MachineFacts) -> str:
    tried = ", ".join(map(str, facts.thread_choices))
    return f"{facts.threads}" + (f" ({tried} are tried before the first step)" if len(facts.thread_choices) > 1 else "")
