"""Which kernels this process computes with: ours, once they have been built and tried, or torch's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from chainrule.base import DeviceError
from chainrule.kernels._gelu import trial as gelu_trial
from chainrule.kernels.attention import trial as attention_trial
from chainrule.kernels.build import built_library
from chainrule.kernels.cross_entropy import trial as cross_entropy_trial
from chainrule.kernels.fused import InUse, Kernel
from chainrule.kernels.heads import trial as heads_trial
from chainrule.kernels.library import Library
from chainrule.kernels.norm import trial as norm_trial
from chainrule.kernels.swiglu import trial as swiglu_trial
from chainrule.kernels.symmetric import trial as symmetric_trial

TORCH = "torch"
# One step of bfloat16 is 2^-8 = 0.4 %; float32 leaves the last bits to the order of a sum.
CLOSE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
# One of each kernel, as its file makes it: something that is put through library and reference.
TRIALS: tuple[Callable[[torch.dtype, torch.Generator], tuple[Any, ...]], ...] = (
    norm_trial,
    swiglu_trial,
    gelu_trial,
    cross_entropy_trial,
    heads_trial,
    attention_trial,
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
            results, gradients = _by_library(kernel, inputs)
            theirs = _by_torch(kernel, inputs, [one is not None for one in gradients])
            ours = [*results, *(one for one in gradients if one is not None)]
            for one, other in zip(ours, theirs, strict=True):
                if not torch.allclose(one.float(), other.float(), rtol=close, atol=close):
                    raise DeviceError(f"{type(kernel).__name__} as it was built computes other numbers than torch")
    symmetric_trial(generator)


def _by_library(kernel: Kernel, inputs: list[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor | None, ...]]:
    """Results, and the gradients of their sum."""
    result, kept = kernel.forward(*inputs)
    upstream = tuple(torch.ones_like(one) for one in _each(result))
    return _each(result), kernel.backward(upstream if isinstance(result, tuple) else upstream[0], tuple(inputs), kept)


def _by_torch(kernel: Kernel, inputs: list[Tensor], learning: list[bool]) -> list[Tensor]:
    """The same in one list; gradients of the inputs that are `learning`."""
    leaves = [one.detach().requires_grad_(learns) for one, learns in zip(inputs, learning, strict=True)]
    with torch.enable_grad():
        results = _each(kernel.reference(*leaves))
    wanted = [one for one in leaves if one.requires_grad]
    gradients = torch.autograd.grad(results, wanted, [torch.ones_like(one) for one in results])
    return [*(one.detach() for one in results), *gradients]


def _each(result: Any) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)
