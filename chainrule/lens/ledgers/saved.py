"""What autograd keeps of each operation until the way back: the tensors, their bytes, and which of them are new."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chainrule.lens.engine import maker_of
from chainrule.lens.tape import Tape


@dataclass(frozen=True)
class Saved:
    """One tensor that autograd's node holds, under its own word for it.

    `value` is the value of the tape that it is, None for one of autograd's own making. `n_bytes` are those of the
    tensor. `held` says that its memory lives on for another reason: a weight, a buffer, or an input.
    """

    word: str
    value: int | None
    shape: tuple[int, ...]
    n_bytes: int
    held: bool


@dataclass(frozen=True)
class Kept:
    """By operation what is saved, and `n_bytes` in all: each memory once, without what lives on anyway.

    Of a graph that was walked and freed nothing is known: `n_bytes` is None.
    """

    of: dict[int, tuple[Saved, ...]]
    n_bytes: int | None


def kept_for_backward(tape: Tape) -> Kept:
    """Read off autograd's graph."""
    where: dict[tuple[Any, ...], int] = {}
    for value in tape.values:
        if value.tensor is not None and value.tensor.layout is torch.strided and not value.tensor.is_meta:
            where.setdefault(_place(value.tensor), value.id)
    roles = {value.id: value.role for value in tape.values}
    lasting = {_storage(one.tensor) for one in tape.values if one.tensor is not None and one.role != "result"}
    found: dict[int, tuple[Saved, ...]] = {}
    storages: dict[int, int] = {}
    seen: set[int] = set()
    for node in tape.nodes:
        maker = maker_of(tape, node)
        if maker is None or id(maker) in seen:
            continue
        seen.add(id(maker))
        try:
            held_by = list(_saved_by(maker))
        except RuntimeError:  # "Trying to backward through the graph a second time"
            return Kept({}, None)
        saved = []
        for word, tensor in held_by:
            known = where.get(_place(tensor))
            storage = _storage(tensor)
            held = storage in lasting or (known is not None and roles[known] != "result")
            saved.append(Saved(word, known, tuple(tensor.shape), tensor.numel() * tensor.element_size(), held))
            if not held:
                storages[storage] = tensor.untyped_storage().nbytes()
        if saved:
            found[node.id] = tuple(saved)
    return Kept(found, sum(storages.values()))


def _saved_by(maker: Any) -> Iterator[tuple[str, Tensor]]:
    """(autograd's word, tensor) of what a node holds; raises RuntimeError for a graph that was freed."""
    own = getattr(maker, "saved_tensors", None)  # a custom Function's
    if isinstance(own, tuple):
        yield from ((f"saved {place}", one) for place, one in enumerate(own) if isinstance(one, Tensor))
    for name in dir(maker):
        if name.startswith("_saved_"):
            one = getattr(maker, name)
            for tensor in one if isinstance(one, tuple | list) else (one,):
                if isinstance(tensor, Tensor) and tensor.layout is torch.strided:
                    yield name.removeprefix("_saved_"), tensor


def _place(tensor: Tensor) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    return _storage(tensor), int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride()


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided else id(tensor)
