"""Which value a tensor holds at this moment: views, shared storage and writes in place.

A tape has values, a program has tensors that may be overwritten. Every tensor that was seen stands for its newest
value; when another tensor of the same storage is written to, what it holds now is worked out at its next use.
"""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.multiprocessing.reductions import StorageWeakRef

from chainrule.base import LensError
from chainrule.lens.tape.nodes import Meta, Value

# Tensors of more elements are not compared element by element: where they might overlap, it is assumed that they do.
LARGE = 1_000_000

Place = tuple[tuple[int, ...], tuple[int, ...], int]  # shape, stride and offset


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
    storage: int


class Memory:
    """All tensors of a recording, by identity, and the storages that they lie in.

    An id or an address may be given anew once its owner is gone, so each is believed only while its owner lives.
    """

    def __init__(self) -> None:
        self._holdings: dict[int, Holding] = {}
        self._storages: dict[int, Storage] = {}
        self._n_storages = 0
        self.overwritten_leaves: list[tuple[Value, Tensor]] = []

    def holding(self, tensor: Tensor) -> Holding | None:
        """What `tensor` holds, or None when it was never seen."""
        found = self._holdings.get(id(tensor))
        return found if found is not None and found.tensor() is tensor else None

    def again(self, tensor: Tensor) -> Value | None:
        """The value of a tensor that autograd had saved and hands out anew: the same memory, at the same edge."""
        if tensor.grad_fn is None or tensor.layout != torch.strided:
            return None
        place = _place(tensor)
        for value in self.storage(tensor).values:
            known = value.tensor
            same_place = (value.meta.shape, value.meta.stride, value.meta.offset) == place
            if known is None or not same_place or known.output_nr != tensor.output_nr:
                continue
            if known.grad_fn is tensor.grad_fn:
                return value
        return None

    def in_another_class(self, tensor: Tensor) -> Value | None:
        """The value of which this tensor of a subclass is an alias: torch makes one to give a result the class."""
        if is_plain(tensor) or tensor.layout != torch.strided:
            return None
        place = _place(tensor)
        for value in reversed(self.storage(tensor).values):
            meta = value.meta
            same_place = (meta.shape, meta.stride, meta.offset, meta.dtype) == (*place, tensor.dtype)
            if same_place and value.tensor is not None and _aliased(tensor, value.tensor):
                return value
        return None

    def replaced(self, tensor: Tensor) -> bool:
        """Whether the tensor lies in other memory than when it was last seen: `tensor.data = …` does that unseen."""
        found = self.holding(tensor)
        return found is not None and found.storage != self.storage(tensor).number

    def storage(self, tensor: Tensor) -> Storage:
        """The storage of `tensor`, numbered when it is new."""
        if tensor.layout != torch.strided:
            raise LensError(
                f"the lens reads dense tensors, and one of shape {list(tensor.shape)} is {tensor.layout}; "
                "call .to_dense() on it"
            )
        memory = tensor.untyped_storage()
        known = self._storages.get(memory._cdata)
        if known is None or known.reference.expired():  # type: ignore[no-untyped-call]
            reference = StorageWeakRef(memory)  # type: ignore[no-untyped-call]
            known = self._storages[memory._cdata] = Storage(self._n_storages, reference)
            self._n_storages += 1
        return known

    def hold(self, tensor: Tensor, value: Value) -> None:
        """From now on `tensor` holds `value`, with all writes so far."""
        storage = self.storage(tensor)
        if value.tensor is not None:
            storage.values.append(value)
        self._holdings[id(tensor)] = Holding(value.id, len(storage.writes), weakref.ref(tensor), storage.number)

    def missed(self, tensor: Tensor) -> list[Write]:
        """The writes by way of other tensors to memory that is also this one's, that its value does not have yet."""
        found = self.holding(tensor)
        since = [] if found is None else self.storage(tensor).writes[found.n_writes :]
        return [write for write in since if overlap(_place(tensor), (write.shape, write.stride, write.offset))]

    def wrote(self, tensor: Tensor, value: Value) -> None:
        """`tensor` was written to in place and holds `value`."""
        storage = self.storage(tensor)
        storage.writes.append(Write(value.id, *_place(tensor)))
        self.hold(tensor, value)

    def meta(self, tensor: Tensor) -> Meta:
        """The tensor's form, with the number of its storage."""
        shape, stride, offset = _place(tensor)
        number, n_bytes = self.storage(tensor).number, tensor.untyped_storage().nbytes()
        return Meta(shape, tensor.dtype, str(tensor.device), stride, offset, number, n_bytes, version(tensor))

    def before_write(self, tensor: Tensor) -> None:
        """Copies what the kept values of the storage hold, since it is about to be overwritten."""
        storage = self.storage(tensor)
        if storage.values:
            copy = tensor.untyped_storage().clone()  # type: ignore[no-untyped-call]
            for value in storage.values:
                self._move(value, copy)
            storage.values = []

    def _move(self, value: Value, copy: torch.UntypedStorage) -> None:
        """From now on the value lies in the copy; autograd knows it by its edge."""
        original = value.tensor
        assert original is not None
        value.overwritten, value.requires_grad = True, original.requires_grad
        if original.requires_grad and original.is_leaf:
            self.overwritten_leaves.append((value, original))  # its edge cannot be asked for in here
        elif original.requires_grad:
            value.edge = get_gradient_edge(original)
        lying = torch.empty(0, dtype=original.dtype, device=original.device)
        value.tensor = lying.set_(copy, value.meta.offset, value.meta.shape, value.meta.stride)


def is_plain(tensor: Tensor) -> bool:
    """Whether it is of one of torch's own classes, which change nothing."""
    return type(tensor) in (Tensor, nn.Parameter, nn.Buffer)


def version(tensor: Tensor) -> int:
    """How often the tensor was written to; 0 for one made under `torch.inference_mode()`, which does not count."""
    return 0 if tensor.is_inference() else tensor._version


def places(shape: Sequence[int], stride: Sequence[int], offset: int, device: torch.device) -> Tensor:
    """Where in the storage each element lies, counted in elements."""
    found = torch.full(tuple(shape), offset, dtype=torch.int64, device=device)
    for axis, (n, step) in enumerate(zip(shape, stride, strict=True)):
        along = torch.arange(n, device=device) * step
        found += along.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return found


@lru_cache(maxsize=1024)
def overlap(one: Place, other: Place) -> bool:
    """Whether two tensors of one storage have an element in common; pieces beside each other have none."""
    (low, high), (other_low, other_high) = _reach(one), _reach(other)
    if high < other_low or other_high < low:
        return False
    sizes = [torch.Size(shape).numel() for shape, _, _ in (one, other)]
    if (sizes[0] > high - low and sizes[1] > other_high - other_low) or max(sizes) > LARGE:
        return True
    here, there = (places(*place, torch.device("cpu")).flatten() for place in (one, other))
    return bool(torch.isin(here, there).any())


def _reach(place: Place) -> tuple[int, int]:
    """The first and the last element; none when it is empty."""
    shape, stride, offset = place
    if 0 in shape:
        return 0, -1
    return offset, offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))


def merged(form: Tensor, old: Tensor | None, write: Write, written: Tensor | None) -> Tensor | None:
    """What a tensor that lies like `form` held after the write; None where the types do not line up."""
    if old is None or written is None or old.element_size() != written.element_size():
        return None
    here = places(*_place(form), form.device)
    there = places(write.shape, write.stride, write.offset, form.device)
    memory = form.new_empty(1 + max((int(index.max()) for index in (here, there) if index.numel()), default=-1))
    memory[here] = old.detach()
    memory.view(written.dtype)[there] = written.detach()
    return memory[here]


def _aliased(alias: Tensor, tensor: Tensor) -> bool:
    """Whether autograd sees it so too: results have copies in the same place that it keeps for itself."""
    if alias.grad_fn is None:
        return not tensor.requires_grad or not alias.requires_grad
    behind, slot = alias.grad_fn.next_functions[0]
    if tensor.grad_fn is None:
        return getattr(behind, "variable", None) is tensor
    return behind is tensor.grad_fn and slot == tensor.output_nr


def _place(tensor: Tensor) -> Place:
    return tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset())
