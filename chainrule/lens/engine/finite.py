"""Where a run stopped being finite: the operation that made the first NaN or infinity, and what it read."""

from collections.abc import Iterator

import torch
from torch import Tensor

from chainrule.lens.tape import Node, Tape, Value


def first_not_finite(tape: Tape) -> str:
    """In words, on the way to the loss: what came in as NaN, or the operation that made one (or infinity) of numbers.

    Minus infinity in a mask is no fault: infinity counts only where the loss itself is infinite.
    """
    assert tape.loss is not None
    needed = {tape.loss}
    for node in reversed(tape.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
    way = [node for node in tape.nodes if needed.intersection(node.outputs)]
    bad = torch.isnan if _has(tape.values[tape.loss], torch.isnan) else torch.isinf
    what = "NaN" if bad is torch.isnan else "infinity"
    for value in tape.values:
        if value.id in needed and value.producer is None and _has(value, bad):
            return f"{value.role} {value.name} holds {what} in {_count(value, bad)} of {value.meta.n_elements} elements"
    for node in way:
        made = any(_has(tape.values[one], bad) for one in node.outputs)
        if made and not any(_has(tape.values[one], bad) for one in node.inputs):
            read = "; ".join(_described(tape, node)) or "nothing"
            return f"first {what}: {node.op}, operation {node.id} at {node.site}, which read {read}"
    return f"no operation of the tape made {what} of numbers"


def _has(value: Value, bad: object) -> bool:
    return value.tensor is not None and value.differentiable and bool(_marks(value.tensor, bad).any())


def _marks(tensor: Tensor, bad: object) -> Tensor:
    return torch.isnan(tensor.detach()) if bad is torch.isnan else torch.isinf(tensor.detach())


def _count(value: Value, bad: object) -> int:
    assert value.tensor is not None
    return int(_marks(value.tensor, bad).sum())


def _described(tape: Tape, node: Node) -> Iterator[str]:
    """Each tensor that it read: its range, its zeros and what is not finite in it."""
    for name, ref in node.references():
        tensor = tape.values[ref.value].tensor
        if tensor is None or not tensor.numel() or tensor.is_complex():
            continue
        flat = tensor.detach().flatten().double()
        finite = flat[flat.isfinite()]
        extent = (
            f"from {float(finite.min()):.4g} to {float(finite.max()):.4g}" if len(finite) else "with nothing finite"
        )
        counts = {"zero": (flat == 0).sum(), "infinite": flat.isinf().sum(), "NaN": flat.isnan().sum()}
        some = ", ".join(f"{int(n)} {word}" for word, n in counts.items() if n)
        yield f"{name} {extent}" + (f" ({some} of {len(flat)})" if some else "")
