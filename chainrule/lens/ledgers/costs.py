"""What each operation costs: seconds as it ran, memory that it made, arithmetic, and what autograd keeps of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from chainrule.lens.engine import terms_of_value
from chainrule.lens.ledgers.saved import Saved, kept_for_backward
from chainrule.lens.tape import Node, Tape

PRODUCTS = frozenset(
    ("mm", "bmm", "addmm", "baddbmm", "mv", "addmv", "dot", "addbmm", "convolution", "_grouped_mm", "linear")
)
# Multiplications, additions, exponentials and roots for each element of the input, counted in their usual formulas.
BY_ELEMENT = {
    "_softmax": 5,
    "_log_softmax": 5,
    "_safe_softmax": 5,
    "native_layer_norm": 8,
    "_fused_rms_norm": 5,
    "native_batch_norm": 8,
    "_native_batch_norm_legit": 8,
    "native_group_norm": 8,
    "gelu": 8,
    "silu": 4,
    "sigmoid": 4,
    "tanh": 6,
}
REDUCTIONS = frozenset(
    ("sum", "mean", "var", "std", "amax", "amin", "max", "min", "prod", "cumsum", "logsumexp", "norm")
)


@dataclass(frozen=True)
class Cost:
    """One operation: seconds in the recorded run, bytes of memory that it newly made, FLOPs (a multiply-add is two)."""

    seconds: float
    n_bytes: int
    flops: int
    saved: tuple[Saved, ...]

    @property
    def saved_bytes(self) -> int:
        """Bytes of what autograd holds for it, weights and inputs left out."""
        return sum(one.n_bytes for one in self.saved if not one.held)


@dataclass(frozen=True)
class Costs:
    """By number of the operation.

    `saved_bytes` counts memory that several operations hold once; None where autograd's graph was freed.
    """

    of: dict[int, Cost]
    saved_bytes: int | None

    @property
    def seconds(self) -> float:
        """Of the whole forward pass, without what the recording itself took."""
        return sum(one.seconds for one in self.of.values())

    @property
    def n_bytes(self) -> int:
        """Memory made by all operations together; what was freed on the way counts too."""
        return sum(one.n_bytes for one in self.of.values())

    @property
    def flops(self) -> int:
        """Of the forward pass."""
        return sum(one.flops for one in self.of.values())

    def together(self, nodes: Iterable[int]) -> Cost:
        """Several operations as one."""
        each = [self.of[node] for node in nodes]
        saved = tuple(one for cost in each for one in cost.saved)
        return Cost(sum(c.seconds for c in each), sum(c.n_bytes for c in each), sum(c.flops for c in each), saved)


def costs_of(tape: Tape) -> Costs:
    """The costs of a recording that kept its tensors and whose graph was not freed."""
    kept = kept_for_backward(tape)
    known = {value.meta.storage for value in tape.values if value.producer is None}
    found = {}
    for node in tape.nodes:
        n_bytes = 0
        for output in node.outputs:
            meta = tape.values[output].meta
            if meta.storage not in known:
                known.add(meta.storage)
                n_bytes += meta.storage_bytes
        found[node.id] = Cost(node.seconds, n_bytes, flops_of(tape, node), kept.of.get(node.id, ()))
    return Costs(found, kept.n_bytes)


def flops_of(tape: Tape, node: Node) -> int:
    """Two for each multiply-add of a product, one for each element of what is done element by element, 0 for views."""
    name = node.rule_name
    out = max((tape.values[one].meta.n_elements for one in node.outputs), default=0)
    floats = [tape.values[one].meta for one in node.inputs if tape.values[one].differentiable]
    if name in PRODUCTS:
        return 2 * terms_of_value(tape, node) * out
    if "scaled_dot_product" in name and len(floats) >= 3:
        q, k, v = (meta.shape for meta in floats[:3])
        return 2 * torch.Size(q[:-1]).numel() * k[-2] * (q[-1] + v[-1])
    if not floats or node.func is None:
        return 0
    given = max(meta.n_elements for meta in floats)
    if name in BY_ELEMENT:
        return BY_ELEMENT[name] * given
    if name in REDUCTIONS:
        return given
    return out if torch.Tag.pointwise in node.func.tags and name not in ("clone", "_to_copy", "copy") else 0
