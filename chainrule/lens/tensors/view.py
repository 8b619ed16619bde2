"""The tensor explorer: everything that can be said of one tensor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.tensors.attributes import TensorFacts
from chainrule.lens.tensors.layout import layout, viewing
from chainrule.lens.tensors.memory import Shared, require_strided, shares
from chainrule.lens.tensors.values import WHOLE_ELEMENTS, values
from chainrule.lens.tensors.words import as_tensor, autograd_place, numpy_way
from chainrule.lens.tensors.written import tensor_text

MOST_COLUMNS = 16


@dataclass(frozen=True, repr=False)
class TensorView(TensorFacts):
    """All facts of one tensor, as they were when it was looked at."""

    def __repr__(self) -> str:
        return self.text()

    def text(self, width: int = 100) -> str:
        """The facts, a small tensor whole, else a histogram and a heatmap."""
        return tensor_text(self, width)


def tensor(what: Any, /, *others: Shared, name: str = "t", **named: Shared) -> TensorView:
    """Everything about one tensor: form, memory, place in autograd, values.

    `what` is a tensor, a NumPy array, a number, or lists of numbers. `others` are tensors or NumPy arrays of which it
    says whether they share its memory, called by their number or keyword. Nothing is changed, and no value is copied
    but for the statistics. Raises LensError for sparse, quantised and nested tensors, with what to look at instead.
    """
    one, made = as_tensor(what)
    require_strided(one)
    storage = one.untyped_storage()
    base = one._base
    around = {f"other {place}": other for place, other in enumerate(others, 1)} | named
    if name in around:
        raise LensError(f"{name!r} is the name of the tensor itself; call the other something else")
    return TensorView(
        name=name,
        shape=tuple(one.shape),
        dtype=one.dtype,
        made=made,
        device=str(one.device),
        layout=layout(one),
        element_bytes=one.element_size(),
        storage_bytes=storage.nbytes(),
        foreign=bool(storage.nbytes()) and not one.is_meta and one.device.type == "cpu" and not storage.resizable(),
        base=None if base is None else tuple(base.shape),
        sharing=shares(**{name: memory_of(what, one)}, **around) if around else None,
        flat=viewing(one, -1) if one.numel() else viewing(one, 0),
        numpy=numpy_way(one, name),
        autograd=autograd_place(one),
        values=values(one),
        elements=elements(one),
    )


def elements(one: Tensor) -> Any | None:
    """The nested lists of a small tensor; None for a large one and on `meta`."""
    if one.is_meta or one.numel() > WHOLE_ELEMENTS or (one.dim() and one.shape[-1] > MOST_COLUMNS):
        return None
    plain = one.detach().cpu()
    return (plain.float() if plain.is_floating_point() and plain.element_size() < 4 else plain).tolist()


def memory_of(what: Any, one: Tensor) -> Shared:
    """The thing whose memory is asked for: a NumPy array itself, for a copy of it shares nothing."""
    return what if isinstance(what, np.ndarray) else one
