"""What autograd says of a recorded run: its gradient at every value, and its own answer for single operations."""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import get_gradient_edge

from chainrule.lens.tape import Node, Ref, Site, Tape, Value


def autograd_gradients(tape: Tape, only: Iterable[int] | None = None) -> dict[int, Tensor | None]:
    """Autograd's gradient of the loss by every value that it knows (or by those of `only`); None where it has none.

    Of the same run, so of the same dropout masks. The graph stays, to be asked again. Not in autograd's graph and not
    in the answer are values inside the forward pass of a custom autograd Function, or under `torch.no_grad()`, and
    tensors that were written to in parts: autograd books what their views receive on the whole, the tape does not.
    """
    values = [tape.values[one] for one in only] if only is not None else tape.values
    written = written_in_parts(tape)
    known = [value for value in values if value.id not in written and _edge(value) is not None]
    assert tape.loss is not None
    loss = tape.values[tape.loss]
    found = torch.autograd.grad(
        [_edge(loss)],
        [_edge(value) for value in known],
        grad_outputs=[torch.ones(loss.meta.shape, dtype=loss.meta.dtype, device=loss.meta.device)],
        retain_graph=True,
        allow_unused=True,
    )
    return {value.id: gradient for value, gradient in zip(known, found, strict=True)}


def written_in_parts(tape: Tape) -> frozenset[int]:
    """The values that lie in memory that was written to by way of a view."""
    storages: set[int] = set()
    for node in tape.nodes:
        target = node.arguments.get("self")
        if isinstance(target, Ref) and (node.in_place or node.func is None):
            value = tape.values[target.value]
            if value.view_of is not None or node.func is None:
                storages.add(value.meta.storage)
    return frozenset(value.id for value in tape.values if value.meta.storage in storages and not value.is_leaf)


def _edge(value: Value) -> Any:
    """Autograd's place of the value; None where it has none."""
    if value.edge is not None or value.overwritten:
        return value.edge
    if value.tensor is None or not value.differentiable or not value.requires_grad:
        return None
    return get_gradient_edge(value.tensor)


class CustomFunctions:
    """The custom autograd Functions of a recording: which operations lie in the forward pass of which."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.backward_of: dict[int, Any] = {}  # node -> autograd's node of the Function that it is a part of
        for value in tape.values:
            edge = _edge(value)
            if edge is not None and isinstance(edge.node, BackwardCFunction) and value.producer is not None:
                self._inside(value.producer, edge.node)

    def _inside(self, node: int, backward: Any) -> None:
        """Marks the operation, and what it was computed from without autograd."""
        waiting = [node]
        while waiting:
            here = self.tape.nodes[waiting.pop()]
            if here.id in self.backward_of or (here.grad_enabled and here.func is not None):
                continue
            self.backward_of[here.id] = backward
            inputs = [self.tape.values[one] for one in here.inputs]
            waiting.extend(one.producer for one in inputs if one.producer is not None and not one.requires_grad)

    def members(self, backward: Any) -> list[int]:
        """The operations of this Function, in order."""
        return sorted(node for node, owner in self.backward_of.items() if owner is backward)


def function_name(backward: Any) -> str:
    """The class name of a custom autograd Function."""
    return type(backward).__name__.removesuffix("Backward")


def function_site(backward: Any) -> Site | None:
    """Where its backward pass is written."""
    written = getattr(type(backward), "_forward_cls", None)
    try:
        assert written is not None
        lines, first = inspect.getsourcelines(written.backward)
        file = Path(inspect.getsourcefile(written) or "?")
    except (OSError, TypeError, AssertionError):
        return None
    start = next((i for i, line in enumerate(lines) if line.lstrip().startswith("def ")), 0)
    shown = file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file
    return Site(str(shown), first + start, f"{written.__name__}.backward", lines[start].strip())


def local_gradient(
    tape: Tape, maker: Any, outputs: Iterable[int], value: Value, gradients: Mapping[int, Tensor | None]
) -> Tensor | None:
    """What `maker`, a node of autograd's graph, hands back to `value` when its outputs have these gradients.

    None when that cannot be told: the node leads to the value in a roundabout way (views that were written to).
    """
    incoming: dict[int, Tensor | None] = {}
    for output in outputs:
        edge = _edge(tape.values[output])
        if edge is not None and edge.node is maker:
            incoming[edge.output_nr] = gradients.get(output)
    target = _edge(value)
    places = [
        i for i, (node, slot) in enumerate(maker.next_functions) if (node, slot) == (target.node, target.output_nr)
    ]
    if not incoming or not places:
        return None
    n_outputs = max(incoming) + 1 if not hasattr(maker, "_input_metadata") else len(maker._input_metadata)
    given = [incoming.get(slot) for slot in range(n_outputs)]
    run = maker.apply if isinstance(maker, BackwardCFunction) else maker
    answer = run(*given)
    answers = answer if isinstance(answer, tuple) else (answer,)
    total = torch.zeros(value.meta.shape, dtype=value.meta.dtype, device=value.meta.device)
    for place in places:
        if answers[place] is not None:
            total = total + answers[place]
    return total


def maker_of(tape: Tape, node: Node) -> Any:
    """Autograd's node of the operation, by its first output that has one."""
    edges = [_edge(tape.values[output]) for output in node.outputs]
    return next((edge.node for edge in edges if edge is not None), None)
