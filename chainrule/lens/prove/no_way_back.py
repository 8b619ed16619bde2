"""A program whose gradients autograd itself cannot compute: the operation at which its way back ends with an error."""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.autograd.graph import get_gradient_edge

from chainrule.lens.engine import CustomFunctions, function_name, function_site, loss_to_differentiate, maker_of
from chainrule.lens.tape import Node, Site, Tape

ONCE = "once_differentiable"
# By a word of what autograd said: what it means, and what would do.
REMEDIES = {
    "_standard_gamma_grad": "PyTorch has no second derivative of a draw from a gamma distribution, nor of the draws "
    "made of it (chi-squared, Student's); detach the draw, or draw from a normal or uniform distribution",
    ONCE: "what it computes has one derivative and no second; detach it, write its backward in operations that "
    "autograd can follow, or ask for no gradient of a gradient that goes through it",
}


def no_way_back(tape: Tape, fault: RuntimeError) -> str:
    """What autograd said, of which operation, and where it is known what would do: for who wrote the program."""
    said = (str(fault).strip().splitlines() or [type(fault).__name__])[0].rstrip(".")
    remedy = next((words for key, words in REMEDIES.items() if key in said), "")
    once = [f"the custom Function {name} at {site}" for name, site in _once(tape)] if ONCE in said else []
    backward = _last_begun(tape)
    members = CustomFunctions(tape).members(backward)
    if members:
        who = f"the custom Function {function_name(backward)} at {function_site(backward)}"
    else:
        node = _made_by(tape, backward)
        who = "the loss" if node is None else f"{node.op} at {node.site}"
    who = " or ".join(once) or who
    more = f": {remedy}" if remedy else ""
    return (
        f"autograd cannot go back through {tape.target}, it stops at {who}: {said}. Training would stop there too{more}"
    )


def _once(tape: Tape) -> dict[tuple[str, Site | None], None]:
    """The custom Functions of the recording whose backward pass says that it cannot be differentiated, each once."""
    makers = dict.fromkeys(CustomFunctions(tape).backward_of.values())
    written = {maker: getattr(getattr(type(maker), "_forward_cls", None), "backward", None) for maker in makers}
    return {(function_name(maker), function_site(maker)): None for maker, one in written.items() if _is_once(one)}


def _is_once(backward: Any) -> bool:
    """Whether torch's decorator `once_differentiable` is around it, which keeps what it wraps."""
    return (
        hasattr(backward, "__wrapped__") and backward.__code__.co_filename == once_differentiable.__code__.co_filename
    )


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
