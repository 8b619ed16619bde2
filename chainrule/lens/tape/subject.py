"""What the lens is pointed at: something to run, what to run it on, and how its result becomes one number."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.tape.nodes import Keep, Level, Tape
from chainrule.lens.tape.number_limits import limits_of
from chainrule.lens.tape.randomness import seeds_that_can_be_repeated
from chainrule.lens.tape.recorder import Whole
from chainrule.lens.tape.recording import Target, as_written, loss_in, name_of_target, record


@dataclass(frozen=True)
class Subject:
    """`target(*inputs, **named)`, then `loss` of that when it is not a scalar by itself; `around` is where it runs.

    Of a copy in float64 `format` is that of the weights before: the program is told its limits (`torch.finfo`).
    """

    name: str
    target: Target
    inputs: tuple[Any, ...] = ()
    loss: Callable[[Any], Tensor] | None = None
    named: Mapping[str, Any] = field(default_factory=dict)
    around: Callable[[], AbstractContextManager[object]] = nullcontext
    format: torch.dtype = torch.float64

    def run(self, *, compiled: bool = False) -> Any:
        """What one plain run answers: the loss, where there is one. What was compiled runs as it was written, or so."""
        written = nullcontext() if compiled else as_written()
        with self.around(), limits_of(self.format), seeds_that_can_be_repeated(), written:
            result = self.target(*self.inputs, **self.named)
            return self.loss(result) if self.loss is not None else loss_in(result)

    def record(self, *, level: Level = "op", keep: Keep = "all", whole: Whole | None = None) -> Tape:
        """The tape of one run."""
        with self.around(), limits_of(self.format), seeds_that_can_be_repeated():
            return record(self.target, *self.inputs, loss=self.loss, level=level, keep=keep, whole=whole, **self.named)


def subject_of(target: Target | Subject, batch: Any = (), loss: Callable[[Any], Tensor] | None = None) -> Subject:
    """A target and its batch as one thing: one argument, a tuple of several, or a mapping of named ones."""
    if isinstance(target, Subject):
        return target
    if isinstance(batch, Mapping):
        return Subject(name_of_target(target), target, (), loss, dict(batch))
    return Subject(name_of_target(target), target, batch if isinstance(batch, tuple) else (batch,), loss)
