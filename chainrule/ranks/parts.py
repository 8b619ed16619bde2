"""Whole tensors and the parts of them that processes have, both ways; names of whole models and of parted ones."""

import re
from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

# What tensor parallelism makes of the stacked projection, see `tensor_parallel.Stacked`.
STACKED = re.compile(r"(\.attention\.qkv)\.[qkv](\.(?:weight|bias))")


def local(tensor: Tensor) -> Tensor:
    """The part of this process, which shares memory with `tensor`; a plain tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def own_part(whole: Tensor, like: Tensor) -> Tensor:
    """What this process has of `whole`, a view, where it is laid out as `like`."""
    if not isinstance(like, DTensor):
        return whole
    sizes, starts = compute_local_shape_and_global_offset(like.shape, like.device_mesh, like.placements)
    return whole[tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))]


def n_copies(tensor: Tensor, n_processes: int) -> int:
    """How many of the processes have the very part of it that this one has."""
    if not isinstance(tensor, DTensor):
        return n_processes
    mesh = tensor.device_mesh
    n_parts = 1
    for size, placement in zip(mesh.shape, tensor.placements, strict=True):
        n_parts *= 1 if placement.is_replicate() else size
    return n_processes // n_parts


def whole_name(name: str) -> str:
    """What a parameter of a parted model is called in a whole one: parts of a stacked one have one name."""
    return STACKED.sub(r"\1\2", name)


def by_whole_name(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of a parted model under those of a whole one, in their order."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(whole_name(name), []).append(name)
    return found


def gathered(parts: Sequence[Tensor]) -> Tensor:
    """The whole tensor of what is stacked of these; every process calls it, and has it then."""
    wholes = [one.full_tensor() if isinstance(one, DTensor) else one for one in (part.detach() for part in parts)]
    return torch.cat(wholes) if len(wholes) > 1 and wholes[0].dim() else wholes[0]


def shared_out(whole: Tensor | None, shape: torch.Size, device: str, into: Sequence[Tensor]) -> None:
    """Fills the parts `into`, none where others have it, with what the leader has as `whole`; the others give None."""
    sent = torch.empty(shape, device=device) if whole is None else whole.detach().to(device).contiguous()
    dist.broadcast(sent, src=0)
    pieces = torch.split(sent, [len(one) for one in into]) if len(into) > 1 and sent.dim() else [sent] * len(into)
    for piece, part in zip(pieces, into, strict=True):
        local(part).copy_(own_part(piece, part))
