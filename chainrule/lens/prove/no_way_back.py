"""A program whose gradients autograd itself cannot compute: the operation at which its way back ends with an error."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from chainrule.lens.engine import CustomFunctions, function_name, function_site, loss_to_differentiate, maker_of
from chainrule.lens.tape import Node, Tape


def no_way_back(tape: Tape, fault: RuntimeError) -> str:
    """What autograd said, and of which operation: a sentence for who wrote the program."""
    said = str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
    backward = _last_begun(tape)
    members = CustomFunctions(tape).members(backward)
    if members:
        who = f"the custom Function {function_name(backward)} at {function_site(backward)}"
    else:
        node = _made_by(tape, backward)
        who = "the loss" if node is None else f"{node.op} at {node.site}"
    return f"autograd cannot go back through {tape.target}, it stops at {who}: {said}. Training would stop there too"


def _last_begun(tape: Tape) -> Any:
    """Autograd's node that was the last to begin, going back once more."""
    loss = tape.values[loss_to_differentiate(tape)].tensor
    assert loss is not None
    makers = {maker for node in tape.nodes if (maker := maker_of(tape, node)) is not None}
    begun: list[Any] = []
    handles = [maker.register_prehook(partial(_note, begun, maker)) for maker in makers]
    leaves = [leaf.tensor for leaf in tape.leaves() if leaf.tensor is not None and leaf.tensor.requires_grad]
    edges = [get_gradient_edge(leaf) for leaf in leaves]
    try:
        torch.autograd.grad([loss], edges, retain_graph=True, allow_unused=True)
    except RuntimeError:
        pass  # the error that is being explained
    finally:
        for handle in handles:
            handle.remove()
    return begun[-1] if begun else None


def _note(begun: list[Any], maker: Any, _gradients: tuple[Tensor | None, ...]) -> None:
    begun.append(maker)


def _made_by(tape: Tape, backward: Any) -> Node | None:
    return next((node for node in tape.nodes if maker_of(tape, node) is backward), None)
