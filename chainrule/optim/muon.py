"""Muon: momentum whose matrices are made orthogonal before they move the weights; and which weights those are."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from chainrule.config import Config
from chainrule.optim.adamw import AdamW
from chainrule.optim.orthogonal import orthogonal_factors
from chainrule.optim.portions import Groups, portions

# Numbers that are orthogonalised at once: a few times as much is alive in the meantime, whatever the model's size.
SLICE_NUMBERS = 2**22


@dataclass(frozen=True)
class MuonForMatrices:
    """Muon for the matrices inside the blocks, AdamW for the rest: tokens, places and the head, norms and biases."""

    lr: float
    momentum: float
    weight_decay: float
    stacked_rows: tuple[int, int, int]
    """Rows of the queries, keys and values of a block, which are stacked in one weight and orthogonalised apart."""
    rest: AdamW
    mover: ClassVar[type["Muon"]]

    @classmethod
    def of(cls, config: Config) -> "MuonForMatrices":
        """With the settings of a run, and the heads of its model."""
        given, model = config.optimizer, config.model
        queries, others = model.n_heads * model.head_dim, model.n_kv_heads * model.head_dim
        return cls(given.muon_lr, given.momentum, given.weight_decay, (queries, others, others), AdamW.of(config))

    def parts(self, parameters: Mapping[str, nn.Parameter], dtype: torch.dtype) -> Iterator[torch.optim.Optimizer]:
        """Those of Muon, a portion of the matrices each, then those of AdamW."""
        groups: dict[str, list[nn.Parameter]] = {"stacked": [], "matrices": []}
        rest = {}
        for name, parameter in parameters.items():
            if parameter.dim() < 2 or not name.startswith("blocks."):
                rest[name] = parameter
            else:
                groups["stacked" if name.endswith("attention.qkv.weight") else "matrices"].append(parameter)
        for portion in portions(groups):
            yield self._part(portion, dtype)
        yield from self.rest.parts(rest, dtype)

    def _part(self, portion: Groups, dtype: torch.dtype) -> "Muon":
        pieces = {"stacked": list(self.stacked_rows), "matrices": None}
        chosen = [
            {"params": parameters, "peak": self.lr, "pieces": pieces[group]} for group, parameters in portion.items()
        ]
        return self.mover(chosen, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay, dtype=dtype)


class _Piece(NamedTuple):
    """A matrix to be moved, with its gradient and momentum: a whole parameter, or rows of a stacked one."""

    weight: Tensor
    gradient: Tensor
    momentum: Tensor


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, for the matrices inside the blocks (Jordan et al. 2024).

    An update has a root mean square of about √(max(1, rows / columns) / columns), times lr. Weight decay is decoupled.
    Each group may name `pieces`: for a parameter that stacks several matrices (queries, keys, values), the row counts
    of each, which are orthogonalised apart. `dtype` is the number format of their iteration: bfloat16 is half the work
    where the machine has products of it, and many times the work where they are emulated. State: one `momentum` a
    parameter, float32.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "pieces": None})
        self.dtype = dtype
        self.begin()

    def begin(self) -> None:
        """Sets all momentum to zero, as before the first step.

        It is made before the first forward pass, at the bottom of the heap. Made in the first step, it lay where that
        pass's portion of logits had been, and the next pass took as much memory anew: 256 MiB (50k entries, a CPU).
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                if "momentum" in self.state[parameter]:
                    self.state[parameter]["momentum"].zero_()
                else:
                    self.state[parameter]["momentum"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Moves all parameters that have a gradient."""
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            if not moved:
                continue
            gradients = [parameter.grad for parameter in moved if parameter.grad is not None]
            momenta = [self.state[parameter]["momentum"] for parameter in moved]
            # One call, which on a GPU is one kernel.
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            pieces = [piece for parameter in moved for piece in self._pieces(parameter, group)]
            for slice_ in _slices(pieces):
                self._move(slice_, group)

    def _pieces(self, parameter: Tensor, group: dict[str, Any]) -> list[_Piece]:
        """The parameter's matrices."""
        assert parameter.grad is not None
        rows = group["pieces"] or [len(parameter)]
        parts = (parameter, parameter.grad, self.state[parameter]["momentum"])
        split = (torch.split(tensor, rows) for tensor in parts)
        return [_Piece(*parts) for parts in zip(*split, strict=True)]

    def _move(self, pieces: list[_Piece], group: dict[str, Any]) -> None:
        """One update of matrices of the same shape."""
        updates = pieces[0].weight.new_empty((len(pieces), *pieces[0].weight.shape))
        for piece, update in zip(pieces, updates, strict=True):
            torch.lerp(piece.gradient, piece.momentum, group["momentum"], out=update)
        left, right = orthogonal_factors(updates.to(self.dtype))
        n_rows, n_columns = pieces[0].weight.shape
        kept = 1 - group["lr"] * group["weight_decay"]
        rate = -group["lr"] * max(1.0, n_rows / n_columns) ** 0.5
        for piece, *factors in zip(pieces, left, right, strict=True):
            if self.dtype == piece.weight.dtype:
                # The product lands in the weight: no matrix of updates is written and read again.
                piece.weight.addmm_(*factors, beta=kept, alpha=rate)
            else:
                piece.weight.mul_(kept).add_(torch.mm(*factors), alpha=rate)


MuonForMatrices.mover = Muon


def _slices(pieces: list[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces of one shape: as many as have SLICE_NUMBERS numbers, at least one; always in the same order."""
    shapes: dict[torch.Size, list[_Piece]] = {}
    for piece in pieces:
        shapes.setdefault(piece.weight.shape, []).append(piece)
    for shape, members in shapes.items():
        at_once = max(1, SLICE_NUMBERS // shape.numel())
        yield from (members[start : start + at_once] for start in range(0, len(members), at_once))
