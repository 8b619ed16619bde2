"""What the lens is pointed at: something to run, what to run it on, and how its result becomes one number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from chainrule.lens.record import Target, record
from chainrule.lens.tape import Keep, Level, Tape


@dataclass(frozen=True)
class Subject:
    """`target(*inputs, **named)`, then `loss` of that when it is not a scalar by itself."""

    name: str
    target: Target
    inputs: tuple[Any, ...] = ()
    loss: Callable[[Any], Tensor] | None = None
    named: Mapping[str, Any] = field(default_factory=dict)

    def record(self, *, level: Level = "op", keep: Keep = "all") -> Tape:
        """The tape of one run."""
        return record(self.target, *self.inputs, loss=self.loss, level=level, keep=keep, **self.named)
