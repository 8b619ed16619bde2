"""What autograd says of a recorded run: its gradient at every value, and its own answer for single operations."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import get_gradient_edge

from chainrule.base import LensError
from chainrule.lens.tape import Node, Ref, Site, Tape, Value, as_plain_tensors, written_at


@as_plain_tensors()
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
    if _edge(loss) is None:
        raise LensError(_without_derivative(tape))
    ones = torch.ones(loss.meta.shape, dtype=loss.meta.dtype, device=loss.meta.device)
    with Arrivals(edges.values()) as arrivals:
        found = _back(_edge(loss), ones, list(edges.values()))
    if writers is not None:
        writers.extend(one for one in arrivals.writers if one not in writers)
    return {
        value: None if gradient is None else arrivals.at(edge, gradient)
        for (value, edge), gradient in zip(edges.items(), found, strict=True)
    }


def _back(loss: Any, ones: Tensor, edges: list[Any]) -> tuple[Tensor | None, ...]:
    """What `torch.autograd.grad` gives; or `backward` where that is refused, as inside reentrant checkpoints."""
    try:
        with torch._C._EnableTorchFunction():  # backward passes of the program's own
            return torch.autograd.grad([loss], edges, grad_outputs=[ones], retain_graph=True, allow_unused=True)
    except RuntimeError as fault:
        words = str(fault).splitlines()[0]
        if "use_reentrant" in words:
            return _all_the_way(loss, ones, edges)
        if any(word in words for word in ("ScalarType", "scalar_type", "dtype")):
            raise LensError(
                f"the way back does not run in float64: {words}. One of its operations knows only float32; verify a "
                "step as it runs, with capture()"
            ) from fault
        raise
    except (TypeError, AttributeError, KeyError, IndexError, ValueError, AssertionError) as fault:
        words = (str(fault).splitlines() or [""])[0]
        raise LensError(
            f"the program's own way back fails after the run ({type(fault).__name__}: {words}): what a run leaves in "
            "modules is put back when it is over, so a backward pass must not read it there; keep it in ctx"
        ) from fault


def _all_the_way(loss: Any, ones: Tensor, edges: list[Any]) -> tuple[Tensor | None, ...]:
    """The gradients of leaves by `backward`, which sums them up in `.grad`; of others what the hooks have seen."""
    leaves = [getattr(edge.node, "variable", None) for edge in edges]
    before = [None if leaf is None else leaf.grad for leaf in leaves]
    with Arrivals([edge for edge, leaf in zip(edges, leaves, strict=True) if leaf is None]) as arrivals:
        for leaf in leaves:
            if leaf is not None:
                leaf.grad = None
        torch.autograd.backward([loss], [ones], retain_graph=True)
    found = [
        arrivals.copies.get((edge.node, edge.output_nr)) if leaf is None else leaf.grad
        for edge, leaf in zip(edges, leaves, strict=True)
    ]
    for leaf, gradient in zip(leaves, before, strict=True):
        if leaf is not None:
            leaf.grad = gradient
    return tuple(found)


def _without_derivative(tape: Tape) -> str:
    """The operation at which autograd lost the way to the loss."""
    live = {leaf.id for leaf in tape.leaves()}
    for node in tape.nodes:
        outputs = [tape.values[one] for one in node.outputs if tape.values[one].differentiable]
        if live.intersection(node.inputs):
            if node.grad_enabled and outputs and not any(one.requires_grad for one in outputs):
                return (
                    f"autograd has no derivative of {node.op} at {node.site}, so that the loss has no gradient; "
                    "compute it in another way"
                )
            live.update(one.id for one in outputs if one.requires_grad)
    return f"the loss of {tape.target} has no gradient: autograd does not lead from it to any weight"


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
                self.handles.append(leaf.register_hook(partial(self._at_leaf, node)))  # type: ignore[no-untyped-call]
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
        return self.copies.get((edge.node, edge.output_nr), _dense(otherwise))

    def _at_leaf(self, node: Any, gradient: Tensor | None) -> None:
        if gradient is not None:
            self.copies[node, 0] = _dense(gradient).clone()

    def _arrived(self, node: Any, slots: set[int], gradients: tuple[Tensor | None, ...]) -> None:
        for slot in slots:
            given = gradients[slot] if slot < len(gradients) else None
            if given is not None:
                self.copies[node, slot] = _dense(given).clone()

    def _left(self, node: Any, _made: Any, gradients: tuple[Tensor | None, ...]) -> None:
        for slot, given in enumerate(gradients):
            arrived = self.copies.get((node, slot))
            if given is not None and arrived is not None and not _same(_dense(given), arrived):
                self.writers.append(node)
                return


def _dense(gradient: Tensor) -> Tensor:
    """An embedding may hand back a sparse one."""
    gradient = gradient.detach()
    return gradient if gradient.layout == torch.strided else gradient.to_dense()


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other) | ((one != one) & (other != other))).all())


def written_in_parts(tape: Tape) -> frozenset[int]:
    """The values that lie in memory that was written to by way of a view."""
    storages: set[int] = set()
    for node in tape.nodes:
        target = node.arguments.get("self")
        # A detached alias that has what was written is no view to autograd.
        if isinstance(target, Ref) and (node.in_place or (node.func is None and node.tracked)):
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
    target, leads_to = _edge(value), _leads_to(maker)
    found = [
        answer
        for place, answer in answers_of(tape, maker, outputs, gradients).items()
        if leads_to.get(place) == (target.node, target.output_nr)
    ]
    if not found:
        return None
    total = torch.zeros(value.meta.shape, dtype=value.meta.dtype, device=value.meta.device)
    for answer in found:
        if answer is not None:
            total = total + answer
    return total


def _leads_to(maker: Any) -> dict[int, Any]:
    """Where each answer of `maker` goes, by its place.

    A custom Function answers for every argument of `apply`; its edges are those of tensors alone.
    """
    if not isinstance(maker, BackwardCFunction):
        return dict(enumerate(maker.next_functions))
    edges = [edge for edge in maker.next_functions if edge[0] is not None]
    places = [place for place, needed in enumerate(maker.needs_input_grad) if needed]
    return dict(zip(places, edges, strict=True))


def answers_of(
    tape: Tape, maker: Any, outputs: Iterable[int], gradients: Mapping[int, Tensor | None]
) -> dict[int, Tensor | None]:
    """What `maker` hands back, by the place of its inputs; nothing where it made none of the outputs."""
    incoming: dict[int, Tensor | None] = {}
    for output in outputs:
        edge = _edge(tape.values[output])
        if edge is not None and edge.node is maker:
            given = gradients.get(output)
            # A copy: it may write into what it is given.
            incoming[edge.output_nr] = None if given is None else given.clone()
    if not incoming:
        return {}
    n_outputs = max(incoming) + 1 if not hasattr(maker, "_input_metadata") else len(maker._input_metadata)
    run = maker.apply if isinstance(maker, BackwardCFunction) else maker
    answer = run(*[incoming.get(slot) for slot in range(n_outputs)])
    return dict(enumerate(answer if isinstance(answer, tuple) else (answer,)))


def whole_function(tape: Tape, node: Node, incoming: tuple[Tensor | None, ...]) -> dict[str, list[Tensor | None]]:
    """What a custom Function that is one operation of the tape hands back, by its own backward pass."""
    maker = maker_of(tape, node)
    if maker is None:
        raise LensError(
            f"{node.op.partition('.')[2]} at {node.site} leaves torch, and cannot go back alone in another format; "
            "verify the model itself, not a step"
        )
    answers = answers_of(tape, maker, node.outputs, dict(zip(node.outputs, incoming, strict=True)))
    # Autograd lists all arguments of `apply`, the tape only tensors.
    return {"inputs": [answers.get(place) for place in node.func.places]}


def maker_of(tape: Tape, node: Node) -> Any:
    """Autograd's node of the operation, by its first output that has one."""
    edges = [_edge(tape.values[output]) for output in node.outputs]
    return next((edge.node for edge in edges if edge is not None), None)
