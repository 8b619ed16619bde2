"""Whole tensors and the parts of them that processes have, both ways; names of whole models and of parted ones."""

import re
from collections.abc import Iterable, Mapping, Sequence

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


def shared_out(whole: Tensor | None, likes: Sequence[Tensor], device: str, into: Sequence[Tensor]) -> None:
    """Fills the parts `into`, laid out as `likes`, with what the leader has as `whole`; the others give None."""
    shape = torch.Size([sum(len(one) for one in likes), *likes[0].shape[1:]]) if likes[0].dim() else likes[0].shape
    sent = torch.empty(shape, dtype=likes[0].dtype, device=device) if whole is None else whole.detach().to(device)
    sent = sent.contiguous()
    dist.broadcast(sent, src=0)
    pieces = torch.split(sent, [len(one) for one in likes]) if len(likes) > 1 else [sent]
    for piece, like, part in zip(pieces, likes, into, strict=True):
        local(part).copy_(own_part(piece, like))


def keys_of(state: Mapping[str, Tensor]) -> list[tuple[str, str]]:
    """The names and the keys of an optimizer's state, in an order that all processes share."""
    return sorted({(name, key) for name, _, key in (where.rpartition(":") for where in state)})
