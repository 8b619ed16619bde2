"""Rules of operations that are made of simpler ones: recorded in their parts, and walked back by the rules of those."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.rules.constants import CONSTANT
from chainrule.lens.rules.primitives import PRIMITIVES
from chainrule.lens.rules.rule import Call, Gradients, Pullback
from chainrule.lens.tape import Parts, record_parts

Outputs = Mapping[str, Tensor]


class PartCall(Call):
    """A call on the small tape: its tensors as they are, so that a recorder outside can follow them."""

    def _tensor(self, value: int) -> Tensor:
        tensor = self.tape.values[value].tensor
        assert tensor is not None
        return tensor


def composed(parts: Callable[..., Any]) -> Pullback:
    """The pullback of an operation that `parts(**arguments)` computes in simpler ones, its outputs one after the other.

    The arguments are those of the operation's schema. An output that is not a tensor of its own is None.
    """

    def pullback(call: Call, *incoming: Tensor | None) -> Gradients:
        given = {name: call[name] for name in call.node.arguments}
        follow = {name for name, one in given.items() if isinstance(one, Tensor) and call.needs(name)}

        def run(**arguments: Any) -> Outputs:
            result = parts(**arguments)
            outputs = result if isinstance(result, tuple) else (result,)
            return {str(slot): one for slot, one in enumerate(outputs) if one is not None and slot < len(incoming)}

        recorded = record_parts(run, given, follow)
        return walk_back(recorded, {str(slot): g for slot, g in enumerate(incoming) if g is not None})

    pullback.__doc__ = parts.__doc__
    pullback.__wrapped__ = parts  # type: ignore[attr-defined]
    return pullback


def walk_back(parts: Parts, incoming: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradient of each input, when the outputs have these gradients: reverse mode on the small tape."""
    tape, live = parts.tape, _live(parts)
    gradients: dict[int, Tensor] = {}
    for name, g in incoming.items():
        if name in parts.outputs and parts.outputs[name] in live:
            _add(gradients, parts.outputs[name], g)
    for node in reversed(tape.nodes):
        if not any(output in gradients and output in live for output in node.outputs):
            continue
        rule = PRIMITIVES.get(node.rule_name)
        if rule is None:
            raise LensError(f"no rule for {node.op}, which another operation is made of")
        found = rule.pullback(PartCall(tape, node, live), *(gradients.pop(output, None) for output in node.outputs))
        for name, ref in node.references():
            argument, _, place = name.partition("[")
            given: Any = found.get(argument)
            one = given[int(place[:-1])] if place and isinstance(given, list | tuple) else given
            if ref.value in live and one is not None:
                _add(gradients, ref.value, _as_value(tape.values[ref.value].meta.dtype, one))
    return {name: gradients[value] for name, value in parts.inputs.items() if value in gradients}


def _live(parts: Parts) -> frozenset[int]:
    """The values that depend on an input."""
    live = set(parts.inputs.values())
    for node in parts.tape.nodes:
        if node.rule_name not in CONSTANT and any(value in live for value in node.inputs):
            live.update(output for output in node.outputs if parts.tape.values[output].differentiable)
    return frozenset(live)


def _as_value(dtype: torch.dtype, gradient: Tensor) -> Tensor:
    return (gradient.real if gradient.is_complex() and not dtype.is_complex else gradient).to(dtype)


def _add(gradients: dict[int, Tensor], value: int, gradient: Tensor) -> None:
    gradients[value] = gradients[value] + gradient if value in gradients else gradient
