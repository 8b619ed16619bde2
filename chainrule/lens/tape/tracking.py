"""What autograd made of a recorded run: leaves, custom Functions, and writes that it did not notice.

Autograd and the tape look at the same run from two sides. The rules must follow autograd's view where the two differ by
design: a result under `torch.no_grad()` is a constant, the forward pass of a custom Function is not (it runs without
autograd, and its result requires a gradient all the same), and a write under `torch.no_grad()`, or by way of `.data` or
`.detach()`, changes numbers without changing the graph.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.utils._pytree import tree_map_only

from chainrule.lens.tape.memory import Memory, version
from chainrule.lens.tape.nodes import Node, Ref, Tape, Value


def settle(tape: Tape, memory: Memory, clock: Sequence[int]) -> None:
    """Fills in what is known only at the end: leaves, versions, and which operations autograd followed.

    `clock` has autograd's sequence number at each operation: a custom Function takes its own number before its forward
    pass begins, so that its operations are those with a later one.
    """
    for value in tape.values:
        if value.tensor is not None and not value.overwritten:
            placeless = _is_placeless(value.tensor)
            value.requires_grad = value.tensor.requires_grad and not placeless
            value.is_leaf = value.tensor.is_leaf and not placeless
            tape.versions[value.id] = version(value.tensor)
    for value, tensor in memory.overwritten_leaves:
        if _is_placeless(tensor):
            value.requires_grad = value.is_leaf = False
        else:
            value.is_leaf, value.edge = True, get_gradient_edge(tensor)
    _read_through_saved_copies(tape)
    for node in tape.nodes:
        if _unseen(tape, node, clock):
            tape.nodes[node.id] = replace(node, unseen=True, tracked=True)
            for output in node.outputs:
                tape.values[output].is_leaf = False
    for value in tape.leaves():
        value.role = "parameter" if value.role == "constant" else value.role
    for node in tape.nodes:
        if not node.grad_enabled and not node.unseen:
            _follow(tape, node, clock)


def _read_through_saved_copies(tape: Tape) -> None:
    """What reads autograd's saved copy of a result reads the result: a gradient of a gradient goes on through it.

    Autograd keeps a `detach` of what an operation made, and hands out a `detach` of that as a tensor with the place in
    the graph of the first. (One that the program asked for has no place.)
    """
    copied: dict[int, int] = {}
    same: dict[int, int] = {}
    for node in tape.nodes:
        if node.rule_name != "detach" or not isinstance(node.arguments.get("self"), Ref):
            continue
        read, output = node.arguments["self"].value, node.outputs[0]
        origin = copied[output] = copied.get(read, read)
        made, kept = tape.values[output], _edge(tape.values[origin])
        if made.requires_grad and not made.is_leaf and kept is not None and node.grad_enabled:
            edge = _edge(made)
            if (edge.node, edge.output_nr) == (kept.node, kept.output_nr):
                same[output] = origin
    for number, node in enumerate(tape.nodes if same else []):
        # The second copy reads the result too, so that nobody reads the first.
        arguments = (
            {"self": Ref(same[node.outputs[0]])} if node.outputs[:1] and node.outputs[0] in same else node.arguments
        )
        read_instead = tree_map_only(Ref, lambda ref: Ref(same.get(ref.value, ref.value)), arguments)
        tape.nodes[number] = replace(node, arguments=read_instead)


def _is_placeless(tensor: Tensor) -> bool:
    """Whether it is a view that was made without autograd: torch calls it a leaf, and no gradient ever reaches it."""
    if not (tensor.requires_grad and tensor.is_leaf and tensor._is_view()):
        return False
    with torch.enable_grad():
        maker = tensor.view_as(tensor).grad_fn
    return maker is not None and maker.next_functions[0][0] is None


def _unseen(tape: Tape, node: Node, clock: Sequence[int]) -> bool:
    """Whether it changed a tensor that requires a gradient, and the graph went on as before."""
    target = node.arguments.get("self")
    if not isinstance(target, Ref) or not (node.in_place or node.func is None):
        return False
    before, after = tape.values[target.value], tape.values[node.outputs[0]]
    if "written" not in node.arguments and node.func is None:
        return before.requires_grad  # `.data` was set
    if node.func is None:  # the write went by way of another tensor, which autograd followed or not
        written = tape.values[node.arguments["written"].value]
        if written.requires_grad and not after.requires_grad and _detached(tape, before):
            # The alias that `.detach()` made of the memory has its new numbers, and no gradient.
            tape.nodes[node.id] = replace(node, tracked=False)
            return False
        after.requires_grad = after.requires_grad or before.requires_grad or written.requires_grad
        seen = written.requires_grad and written.producer is not None and not tape.nodes[written.producer].unseen
        return before.requires_grad and not seen
    edge_before, edge_after = _edge(before), _edge(after)
    if edge_before is None or edge_after is None:
        return False
    if (edge_before.node, edge_before.output_nr) == (edge_after.node, edge_after.output_nr):
        return True
    # A view that was written to gets a new edge when it is next asked for; a custom Function has had its own before.
    return not node.grad_enabled and edge_after.node._sequence_nr() >= clock[node.id]


def _detached(tape: Tape, value: Value) -> bool:
    """Whether the tensor that holds it was made by `.detach()` or `.data`, or is a view of one that was."""
    while value.producer is not None and not value.requires_grad:
        maker = tape.nodes[value.producer]
        if maker.rule_name == "detach":
            return True
        if maker.func is None and isinstance(maker.arguments.get("self"), Ref):
            value = tape.values[maker.arguments["self"].value]
        elif value.view_of is not None:
            value = tape.values[value.view_of]
        else:
            return False
    return False


def _follow(tape: Tape, node: Node, clock: Sequence[int]) -> None:
    """Marks the forward pass of the custom Function whose result this operation made, if it did."""
    edges = [_edge(tape.values[output]) for output in node.outputs if not tape.values[output].is_leaf]
    began = min((edge.node._sequence_nr() for edge in edges if edge is not None), default=None)
    number = node.id
    while began is not None and number >= 0 and clock[number] > began:
        tape.nodes[number] = replace(tape.nodes[number], tracked=True)
        number -= 1


def _edge(value: Value) -> Any:
    """Autograd's place of the value; None for one that requires no gradient or was not kept."""
    if value.edge is not None or not value.requires_grad or value.overwritten or value.tensor is None:
        return value.edge
    return get_gradient_edge(value.tensor)
