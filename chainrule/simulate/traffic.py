"""What a rank sends in one update: sums of weights and gradients as they were counted, the rest by arithmetic."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from chainrule.config import ModelConfig
from chainrule.plan import Layout

NUMBER = 2  # bytes of bfloat16
WORDS = {"allgather": "weights gathered", "reduce_scatter": "gradients scattered", "allreduce": "gradients summed"}


@dataclass(frozen=True)
class Sent:
    """Bytes that one rank passes on in an update, among how many, and whether that stays inside a machine."""

    what: str
    n_bytes: float
    among: int
    link: str


class Counted(TorchDispatchMode):
    """Counts the bytes of each kind of collective that is called inside."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.n_bytes: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.namespace == "c10d":
            largest = max((one.numel() * one.element_size() for one in _tensors(args)), default=0)
            self.n_bytes[func.name().partition("::")[2].strip("_").removesuffix("_base")] += largest
        return out


def _tensors(given: Any) -> Iterator[torch.Tensor]:
    """The tensors of a call's arguments, in lists too."""
    if isinstance(given, torch.Tensor):
        yield given
    elif isinstance(given, Sequence) and not isinstance(given, str):
        for one in given:
            yield from _tensors(one)


def sent(
    model: ModelConfig, layout: Layout, batch_windows: int, counted: Mapping[str, int], per_machine: int
) -> list[Sent]:
    """All that a rank of the first stage sends; `counted` is of one micro-batch, largest first.

    Of a sum over n ranks each passes 2 (n - 1) / n of the bytes on, of gathering and scattering half of that.
    """
    n, tokens = layout.micro_batches(batch_windows), layout.micro_batch * model.context_length
    found = []
    for kind, n_bytes in counted.items():
        over = layout.dp if kind == "allreduce" else layout.fsdp
        share = (2 if kind == "allreduce" else 1) * (over - 1) / over
        span = over * layout.tp * (layout.fsdp if kind == "allreduce" else 1)
        found.append(Sent(WORDS.get(kind, kind), n * share * n_bytes, over, _link(span, per_machine)))
    if layout.tp > 1:
        # Two sums of each block forward and two backward, and two more where all is computed anew.
        sums = (6 if layout.recompute == "all" else 4) * model.n_layers / layout.pp
        each = 2 * (layout.tp - 1) / layout.tp * NUMBER * tokens * model.emb_dim
        found.append(Sent("sums of the stream", n * sums * each, layout.tp, _link(layout.tp, per_machine)))
    if layout.pp > 1:
        each = NUMBER * tokens * model.emb_dim / layout.tp
        passed = Sent("handed to the next stage", n * layout.chunks * each, 2, _link(layout.ranks, per_machine))
        found.append(passed)
    return sorted((one for one in found if one.n_bytes), key=lambda one: -one.n_bytes)


def _link(span: int, per_machine: int) -> str:
    """Where a group of ranks that lie within `span` neighbours sends."""
    return "machine" if span <= per_machine else "network"
