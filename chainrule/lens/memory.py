"""Which value a tensor holds at this moment: views, shared storage and writes in place.

A tape has values, a program has tensors that may be overwritten. Every tensor that was seen stands for its newest value;
when another tensor of the same storage is written to, what it holds now is worked out at its next use.
"""

import weakref
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge
from torch.multiprocessing.reductions import StorageWeakRef

from chainrule.lens.tape import Meta, Value


@dataclass
class Storage:
    """One block of memory: its number on the tape, the writes to it, and the values that were seen in it."""

    number: int
    reference: StorageWeakRef
    writes: list["Write"] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)


@dataclass(frozen=True)
class Write:
    """A write in place: the value that the written tensor then had, and the tensor's place in the storage."""

    value: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int


@dataclass
class Holding:
    """What one tensor holds: a value, and how many of its storage's writes are in it."""

    value: int
    n_writes: int
    tensor: "weakref.ref[Tensor]"


class Memory:
    """All tensors of a recording, by identity, and the storages that they lie in."""

    def __init__(self) -> None:
        self._holdings: dict[int, Holding] = {}
        self._storages: dict[int, Storage] = {}
        self._n_storages = 0

    def holding(self, tensor: Tensor) -> Holding | None:
        """What `tensor` holds, or None when it was never seen."""
        found = self._holdings.get(id(tensor))
        return found if found is not None and found.tensor() is tensor else None

    def storage(self, tensor: Tensor) -> Storage:
        """The storage of `tensor`, numbered when it is new."""
        memory = tensor.untyped_storage()
        known = self._storages.get(memory._cdata)
        if known is None or known.reference.expired():
            known = self._storages[memory._cdata] = Storage(self._n_storages, StorageWeakRef(memory))
            self._n_storages += 1
        return known

    def hold(self, tensor: Tensor, value: Value) -> None:
        """From now on `tensor` holds `value`, with all writes so far."""
        storage = self.storage(tensor)
        storage.values.append(value)
        self._holdings[id(tensor)] = Holding(value.id, len(storage.writes), weakref.ref(tensor))

    def missed(self, tensor: Tensor) -> list[Write]:
        """The writes to the tensor's storage, by way of other tensors, that its value does not have yet."""
        found = self.holding(tensor)
        return [] if found is None else self.storage(tensor).writes[found.n_writes :]

    def wrote(self, tensor: Tensor, value: Value) -> None:
        """`tensor` was written to in place and holds `value`."""
        storage = self.storage(tensor)
        storage.writes.append(Write(value.id, tuple(tensor.shape), tensor.stride(), tensor.storage_offset()))
        self.hold(tensor, value)

    def meta(self, tensor: Tensor) -> Meta:
        """The tensor's form, with the number of its storage."""
        return Meta(
            tuple(tensor.shape),
            tensor.dtype,
            str(tensor.device),
            tensor.stride(),
            tensor.storage_offset(),
            self.storage(tensor).number,
            tensor.untyped_storage().nbytes(),
            tensor._version,
        )

    def before_write(self, tensor: Tensor) -> None:
        """Copies what the kept values of the storage hold, since it is about to be overwritten."""
        storage = self.storage(tensor)
        kept = [value for value in storage.values if value.tensor is not None and value.edge is None]
        if kept:
            copy = tensor.untyped_storage().clone()
            for value in kept:
                assert value.tensor is not None
                if value.tensor.requires_grad:
                    value.requires_grad, value.edge = True, get_gradient_edge(value.tensor)
                lying = torch.empty(0, dtype=value.tensor.dtype, device=value.tensor.device)
                value.tensor = lying.set_(copy, value.meta.offset, value.meta.shape, value.meta.stride)
            storage.values = [value for value in storage.values if value not in kept]
