"""One call of ours in the place of several of torch's: when that may be, and what it is to autograd."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from chainrule.kernels.library import SUFFIXES, Library

PLAIN = (Tensor, nn.Parameter)


class Kernel(Protocol):
    """An operation in two forms that agree: plain torch, and functions of the library."""

    def fits(self, *inputs: Any, **_: Any) -> bool:
        """Whether the library has it for tensors of these types and shapes."""
        ...

    def reference(self, *inputs: Any, **_: Any) -> Any:
        """By torch's operations: a tensor, or a tuple of several."""
        ...

    def forward(self, *inputs: Any, **_: Any) -> tuple[Any, tuple[Tensor, ...]]:
        """By the library: the result as that of `reference`, and what `backward` needs besides the inputs."""
        ...

    def backward(self, gradient: Any, inputs: tuple[Tensor, ...], kept: tuple[Tensor, ...]) -> tuple[Any, ...]:
        """By the library: the gradient of each input, None for one that has none; `gradient` is as the result is."""
        ...


class InUse:
    """The library that this process computes with; None: torch's operations."""

    library: Library | None = None
    functions: ClassVar[dict[tuple[str, torch.dtype], Callable[..., Any]]] = {}

    @classmethod
    def take(cls, library: Library | None) -> None:
        """From now on `library`."""
        cls.library, cls.functions = library, {}


def native(name: str, dtype: torch.dtype, arguments: str) -> Callable[..., Any]:
    """The library's function for numbers of this format; see `Library.function`."""
    found = InUse.functions.get((name, dtype))
    if found is None:
        assert InUse.library is not None, "asked for while none is in use"
        found = InUse.functions[name, dtype] = InUse.library.function(f"{name}_{SUFFIXES[dtype]}", arguments)
    return found


def computed(kernel: Kernel, *inputs: Tensor) -> Any:
    """The kernel's result by the library, where one is in use, nobody watches and `inputs` are what it takes.

    Else by torch's operations, which is what compilers, transforms, recordings and other devices see.
    """
    found = computed_or_none(kernel, *inputs)
    return kernel.reference(*inputs) if found is None else found


def computed_or_none(kernel: Kernel, *inputs: Tensor) -> Any:
    """The kernel's result by the library, or None where `computed` would take torch's operations."""
    if not (usable(*inputs) and kernel.fits(*inputs)):
        return None
    if torch.is_grad_enabled() and any(one.requires_grad for one in inputs):
        return _Fused.apply(kernel, *inputs)  # type: ignore[no-untyped-call]
    return kernel.forward(*inputs)[0]


def usable(*tensors: Tensor) -> bool:
    """Whether a library is in use, nobody watches, and these are plain tensors of this machine's memory."""
    if torch.compiler.is_compiling() or InUse.library is None or _watched():
        return False
    return all(type(one) in PLAIN and one.is_cpu and one.layout is torch.strided for one in tensors)


class _Fused(torch.autograd.Function):
    """A kernel with its gradient. A gradient that is itself to be differentiated, or watched, is the reference's."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, *inputs: Tensor) -> Any:
        result, kept = kernel.forward(*inputs)
        ctx.kernel, ctx.n_inputs = kernel, len(inputs)
        ctx.save_for_backward(*inputs, *kept)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Any, ...]:
        saved = ctx.saved_tensors  # once: activation checkpointing computes them again for whoever asks
        inputs, kept = saved[: ctx.n_inputs], saved[ctx.n_inputs :]
        if torch.is_grad_enabled() or not usable(*gradients, *inputs):
            return None, *_by_autograd(ctx.kernel, inputs, ctx.needs_input_grad[1:], gradients)
        return None, *ctx.kernel.backward(gradients[0] if len(gradients) == 1 else gradients, inputs, kept)


def _by_autograd(
    kernel: Kernel, inputs: tuple[Tensor, ...], needed: tuple[bool, ...], gradients: tuple[Tensor, ...]
) -> list[Any]:
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        result = kernel.reference(*inputs)
    wanted = [one for one, need in zip(inputs, needed, strict=True) if need]
    found = iter(torch.autograd.grad(result, wanted, gradients, create_graph=again))
    return [next(found) if need else None for need in needed]


def _watched() -> bool:
    """Whether torch's operations are being recorded, transformed or differentiated forwards."""
    return bool(
        torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    )
