"""What one sample proves: our reverse mode against differences, forward mode and autograd, with autograd shut out."""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from chainrule.lens import Policy, record, reverse
from chainrule.lens.engine import differentiable
from chainrule.lens.engine.differences import ridders
from chainrule.lens.rules import RULES
from chainrule.lens.tape import Tape

with (
    warnings.catch_warnings()
):  # torch's forward mode loads this at first use, and it scripts with a deprecated compiler
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("torch._decomp.decompositions_for_jvp")


class Dispatched(TorchDispatchMode):
    """The names of all operations that ran, and whether any ran with autograd on."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.autograd = False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func))
        self.autograd |= torch.is_grad_enabled()
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Proof:
    """A function at a point: the tape, our gradients and autograd's, and the weights u of the loss Σ u·y."""

    function: Callable[..., object]
    inputs: tuple[Tensor, ...]
    tape: Tape
    rules: list[Tensor]
    autograd: list[Tensor]
    dispatched: Dispatched

    @property
    def autograd_sees_all(self) -> bool:
        """False where an output of an operation counts as a constant for torch, as the normaliser of attention does."""
        return all(self.tape.values[value].requires_grad for value in differentiable(self.tape))

    def loss(self, *inputs: Tensor) -> Tensor:
        return weighted(self.function(*inputs))


def weighted(result: object) -> Tensor:
    """Σ u·y over every floating-point result, with fixed random u; of complex ones over both parts."""
    given = [one for one in tree_leaves(result) if isinstance(one, Tensor)]
    outputs = [torch.view_as_real(one.resolve_conj()) if one.is_complex() else one for one in given]
    parts = [(y * weights(y, seed)).sum() for seed, y in enumerate(y for y in outputs if y.is_floating_point())]
    return sum(parts[1:], parts[0])


@cache
def _weights(shape: tuple[int, ...], dtype: torch.dtype, seed: int) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(100 + seed))


def weights(y: Tensor, seed: int = 0) -> Tensor:
    return _weights(tuple(y.shape), y.dtype, seed)


def prove(function: Callable[..., object], tensors: tuple[Tensor, ...], rules=RULES) -> Proof:
    inputs = tuple(tensor.clone().requires_grad_() for tensor in tensors)
    tape = record(lambda *given: function(*given), *inputs, loss=weighted)
    with Dispatched() as dispatched:
        found = reverse(tape, policy=Policy(rules))
    leaves = {id(value.tensor): value.id for value in tape.values if value.producer is None}
    ours = [found.get(leaves[id(tensor)], torch.zeros_like(tensor)) for tensor in inputs]
    theirs = torch.autograd.grad(tape.values[tape.loss].tensor, inputs, allow_unused=True)
    theirs = [torch.zeros_like(t) if g is None else g for t, g in zip(inputs, theirs, strict=True)]
    return Proof(function, inputs, tape, ours, theirs, dispatched)


def direction(proof: Proof) -> list[Tensor]:
    """A random direction, no element of which moves by more than 1."""
    generator = torch.Generator().manual_seed(11)
    return [_within_one(x, generator) for x in proof.inputs]


def _within_one(x: Tensor, generator: torch.Generator) -> Tensor:
    shape = (*x.shape, 2) if x.is_complex() else x.shape
    way = 2 * torch.rand(shape, dtype=torch.float64, generator=generator).to(x.dtype.to_real()) - 1
    return torch.view_as_complex(way) if x.is_complex() else way


def along(proof: Proof, ways: list[Tensor]) -> float:
    """The derivative in a direction that our gradients say."""
    return float(sum((g.conj() * way).real.sum() for g, way in zip(proof.rules, ways, strict=True)))


def scale(proof: Proof, ways: list[Tensor]) -> float:
    """How large the derivative would be without cancellation."""
    return float(sum((g * way).abs().sum() for g, way in zip(proof.rules, ways, strict=True))) or 1.0


def by_differences(proof: Proof, ways: list[Tensor]):
    """The same derivative by Ridders' method."""

    @torch.no_grad()
    def moved(h: float) -> float:
        return float(proof.loss(*(x.detach() + h * way for x, way in zip(proof.inputs, ways, strict=True))))

    return ridders(moved, 0.05)


def by_forward_mode(proof: Proof, ways: list[Tensor]) -> float:
    """The same derivative by torch's forward mode; NotImplementedError where an operation has none."""
    _, tangent = torch.func.jvp(proof.loss, tuple(x.detach() for x in proof.inputs), tuple(ways))
    return float(tangent)
