"""Which kernels this process computes with: ours, once they have been built and tried, or torch's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chainrule.base import DeviceError
from chainrule.kernels._gelu import trial as gelu_trial
from chainrule.kernels.build import built_library
from chainrule.kernels.cross_entropy import trial as cross_entropy_trial
from chainrule.kernels.fused import InUse, Kernel
from chainrule.kernels.library import Library
from chainrule.kernels.norm import trial as norm_trial
from chainrule.kernels.swiglu import trial as swiglu_trial

TORCH = "torch"
# One step of bfloat16 is 2^-8 = 0.4 %; float32 leaves the last bits to the order of a sum.
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
# One of each kernel, as its file makes it: something that is put through library and reference.
TRIALS: tuple[Callable[[torch.dtype, torch.Generator], tuple[Any, ...]], ...] = (
    norm_trial,
    swiglu_trial,
    gelu_trial,
    cross_entropy_trial,
)


@dataclass(frozen=True)
class Kernels:
    """What was taken: `torch`, or ours by a name that says what their bits depend on; and why."""

    name: str
    reason: str


def use_kernels(wanted: str) -> Kernels:
    """Takes our kernels ("auto") where they can be had, or torch's ("off"); they stay set for the whole process.

    What a compiler made is tried beside torch's operations before it is used.
    """
    InUse.take(None)
    if wanted == "off":
        return Kernels(TORCH, "as set")
    try:
        built = built_library()
        library = Library(built.path)
        InUse.take(library)
        _try_out()
    except DeviceError as fault:
        InUse.take(None)
        return Kernels(TORCH, str(fault))
    threads = "on torch's threads" if library.shares_threads else "on one thread, torch's are of another kind"
    return Kernels(f"own ({built.name})", threads)


def _try_out() -> None:
    """Raises DeviceError when a kernel and its reference disagree on a few random numbers."""
    generator = torch.Generator().manual_seed(0)
    for dtype, close in CLOSE.items():
        for make in TRIALS:
            kernel, *inputs = make(dtype, generator)
            for ours, theirs in zip(_by_library(kernel, inputs), _by_torch(kernel, inputs), strict=True):
                if not torch.allclose(ours.float(), theirs.float(), rtol=close, atol=close):
                    raise DeviceError(f"{type(kernel).__name__} as it was built computes other numbers than torch")


def _by_library(kernel: Kernel, inputs: list[Tensor]) -> Iterator[Tensor]:
    result, kept = kernel.forward(*inputs)
    yield result
    yield from (one for one in kernel.backward(torch.ones_like(result), tuple(inputs), kept) if one is not None)


def _by_torch(kernel: Kernel, inputs: list[Tensor]) -> Iterator[Tensor]:
    leaves = [one.detach().requires_grad_(one.is_floating_point()) for one in inputs]
    with torch.enable_grad():
        result = kernel.reference(*leaves)
    yield result.detach()
    wanted = [one for one in leaves if one.requires_grad]
    yield from torch.autograd.grad(result, wanted, torch.ones_like(result))
