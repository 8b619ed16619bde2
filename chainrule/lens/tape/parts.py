"""A few operations recorded by themselves, without autograd: what one is made of, or a rule's own arithmetic."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.tape.nodes import Tape
from chainrule.lens.tape.recorder import Recorder


@dataclass(frozen=True)
class Parts:
    """`tape` has the operations, `inputs` the value of each tensor given, `outputs` those of what came out."""

    tape: Tape
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@torch.no_grad()
def record_parts(function: Callable[..., Mapping[str, Tensor]], given: Mapping[str, Any], follow: set[str]) -> Parts:
    """The tape of `function(**given)`; `follow` names those of `given` whose way through it is wanted."""
    tape = Tape("parts", "op", "all")
    recorder = Recorder(tape, None, lambda _function, _site: False)
    # An alias of each, so that one tensor given twice counts as two; no `detach`, which a recorder outside would see.
    arguments = {name: torch.ops.aten.alias(one) if name in follow else one for name, one in given.items()}
    recorder.register({name: arguments[name] for name in follow})
    with recorder:
        result = function(**arguments)
    inputs = {name: recorder.value_of(arguments[name]) for name in follow}
    return Parts(tape, inputs, {name: recorder.value_of(one) for name, one in result.items()})
