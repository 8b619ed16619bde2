"""In which number format each part of a run computed, and where the program changed it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from chainrule.lens.engine.backward import differentiable
from chainrule.lens.tape import Node, Site, Tape


@dataclass(frozen=True)
class Segment:
    """A stretch of the run in one floating-point format: `n_nodes` operations in `module`, since the line `site`."""

    dtype: torch.dtype
    module: str
    site: Site | None
    n_nodes: int

    def __str__(self) -> str:
        where = f"inside {self.module}" if self.module else "in the model itself"
        return f"{name_of(self.dtype)} {where}" + ("" if self.site is None else f", since {self.site}")


def name_of(dtype: torch.dtype) -> str:
    """`float64` for torch.float64."""
    return str(dtype).removeprefix("torch.")


def dtype_of(tape: Tape, node: Node, formats: Mapping[int, torch.dtype]) -> torch.dtype | None:
    """The floating-point format of what the operation makes; None for integers."""
    return next((formats[output] for output in node.outputs if output in formats), None)


def narrower_segments(
    tape: Tape, formats: Mapping[int, torch.dtype], base: torch.dtype = torch.float64
) -> tuple[Segment, ...]:
    """The parts on the way to the loss that compute in less than `base`, by format and the line where that begins."""
    live = differentiable(tape)
    counts: dict[tuple[torch.dtype, str, Site | None], int] = {}
    since: dict[int, tuple[torch.dtype, str, Site | None]] = {}  # node -> the segment that it is in
    for node in tape.nodes:
        dtype = dtype_of(tape, node, formats)
        if dtype is None or not live.intersection(node.outputs) or _eps(dtype) <= _eps(base):
            continue
        makers = [tape.values[one].producer for one in node.inputs if one in live]
        known = next((since[one] for one in makers if one is not None and one in since), None)
        same = known is not None and known[0] == dtype
        since[node.id] = known if same and known is not None else (dtype, node.module, node.site)
        counts[since[node.id]] = counts.get(since[node.id], 0) + 1
    return tuple(Segment(*key, n) for key, n in counts.items())


def narrowest_on_the_way(tape: Tape, formats: Mapping[int, torch.dtype]) -> dict[int, torch.dtype]:
    """For each value the narrowest floating-point format between it and the loss."""
    found: dict[int, torch.dtype] = {} if tape.loss is None else {tape.loss: formats[tape.loss]}
    for node in reversed(tape.nodes):
        behind = [found[output] for output in node.outputs if output in found]
        if not behind:
            continue
        for value in node.inputs:
            if value in formats:
                known = [found[value]] if value in found else []
                found[value] = max([*behind, *known, formats[value]], key=_eps)
    return found


def _eps(dtype: torch.dtype) -> float:
    return torch.finfo(dtype).eps
