"""What autograd says of a recorded run: its gradient at every value, and its own answer for single operations."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import get_gradient_edge

from chainrule.lens.tape import Node, Ref, Site, Tape, Value, written_at


def autograd_gradients(
    tape: Tape, only: Iterable[int] | None = None, writers: list[Any] | None = None
) -> dict[int, Tensor | None]:
    """Autograd's gradient of the loss by every value that it knows (or by those of `only`); None where it has none.

    Of the same run, so of the same dropout masks. The graph stays, to be asked again. Each gradient is copied as it
    arrives: a custom Function may write into the one that it is given, and is then added to `writers`. Not in
    autograd's graph and not in the answer are values inside the forward pass of a custom autograd Function, or under
    `torch.no_grad()`, and tensors that were written to in parts: autograd books what their views receive on the whole,
    the tape does not.
    """
    values = [tape.values[one] for one in only] if only is not None else tape.values
    written = written_in_parts(tape)
    edges = {value.id: _edge(value) for value in values if value.id not in written}
    edges = {value: edge for value, edge in edges.items() if edge is not None}
    assert tape.loss is not None
    loss = tape.values[tape.loss]
    with Arrivals(edges.values()) as arrivals:
        found = torch.autograd.grad(
            [_edge(loss)],
            list(edges.values()),
            grad_outputs=[torch.ones(loss.meta.shape, dtype=loss.meta.dtype, device=loss.meta.device)],
            retain_graph=True,
            allow_unused=True,
        )
    if writers is not None:
        writers.extend(one for one in arrivals.writers if one not in writers)
    return {
        value: None if gradient is None else arrivals.at(edge, gradient)
        for (value, edge), gradient in zip(edges.items(), found, strict=True)
    }


class Arrivals:
    """Copies of gradients, made when they arrive at their place in autograd's graph; and who wrote into what it got."""

    def __init__(self, edges: Iterable[Any]) -> None:
        self.slots: dict[Any, set[int]] = {}
        for edge in edges:
            self.slots.setdefault(edge.node, set()).add(edge.output_nr)
        self.copies: dict[tuple[Any, int], Tensor] = {}
        self.writers: list[Any] = []
        self.handles: list[Any] = []

    def __enter__(self) -> "Arrivals":
        for node, slots in self.slots.items():
            leaf = getattr(node, "variable", None)
            if isinstance(leaf, Tensor):
                self.handles.append(leaf.register_hook(partial(self._at_leaf, node)))
                continue
            custom = isinstance(node, BackwardCFunction)
            keep = set(range(len(node._input_metadata))) if custom else slots
            self.handles.append(node.register_prehook(partial(self._arrived, node, keep)))
            if custom:
                self.handles.append(node.register_hook(partial(self._left, node)))
        return self

    def __exit__(self, *_fault: object) -> None:
        for handle in self.handles:
            handle.remove()

    def at(self, edge: Any, otherwise: Tensor) -> Tensor:
        """The gradient at a place: as it arrived, or `otherwise` where nothing goes on from it."""
        return self.copies.get((edge.node, edge.output_nr), otherwise)

    def _at_leaf(self, node: Any, gradient: Tensor | None) -> None:
        if gradient is not None:
            self.copies[node, 0] = gradient.detach().clone()

    def _arrived(self, node: Any, slots: set[int], gradients: tuple[Tensor | None, ...]) -> None:
        for slot in slots:
            given = gradients[slot] if slot < len(gradients) else None
            if given is not None:
                self.copies[node, slot] = given.detach().clone()

    def _left(self, node: Any, _made: Any, gradients: tuple[Tensor | None, ...]) -> None:
        for slot, given in enumerate(gradients):
            arrived = self.copies.get((node, slot))
            if given is not None and arrived is not None and not _same(given.detach(), arrived):
                self.writers.append(node)
                return


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other) | ((one != one) & (other != other))).all())  # noqa: PLR0124


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
    return None if written is None else written_at(written.backward)


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
