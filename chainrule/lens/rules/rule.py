"""What a rule of differentiation is: a function for the gradient, and the formula that a person reads."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from chainrule.base import LensError
from chainrule.lens.tape import Node, Ref, Tape, version

# The gradient of each argument that has one; for an argument that is a list of tensors, a list with None where none is.
Gradients = Mapping[str, Tensor | Sequence[Tensor | None]]
Pullback = Callable[..., Gradients]


@dataclass(frozen=True)
class Formula:
    """One line of mathematics, for the terminal and for a page."""

    text: str
    latex: str


@dataclass(frozen=True)
class Rule:
    """How one operation is differentiated.

    `pullback(call, *gradients)` takes the gradient of the loss with respect to each output (None where an output was
    not used) and returns that with respect to each argument: the vector-Jacobian product. It uses neither autograd nor
    torch's backward operations. `value` says what the operation computes, `formulas` the local derivative by each
    argument. In formulas the arguments go by short names: `names` maps the schema's word to the letter.

    Complex numbers: the gradient of x is ∂L/∂re x + i·∂L/∂im x, as torch has it. Where y is a function that can be
    differentiated as a complex one (a product, exp), what is handed on is g times the conjugate of the local
    derivative: such a rule knows nothing of it, and is called with ḡ and conjugated again (`conjugated`). A rule that
    minds complex numbers itself (|x|, re x) is `wirtinger`.
    """

    pullback: Pullback
    value: Formula
    formulas: Mapping[str, Formula]
    names: Mapping[str, str] = field(default_factory=dict)
    wirtinger: bool = False


class Call:
    """One recorded operation with its real values: `call["self"]` is an argument, `call.out` the first output."""

    def __init__(self, tape: Tape, node: Node, wanted: frozenset[int]) -> None:
        self.tape, self.node, self.wanted = tape, node, wanted

    def __getitem__(self, name: str) -> Any:
        return self._resolve(self.node.arguments[name])

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The argument, or `otherwise` when the overload has none of that name."""
        return self[name] if name in self.node.arguments else otherwise

    @property
    def out(self) -> Tensor:
        """The first output."""
        return self.output(0)

    def output(self, slot: int) -> Tensor:
        """The output of that number."""
        return self._tensor(self.node.outputs[slot])

    def tensor(self, ref: Ref) -> Tensor:
        """What a reference among the arguments stands for."""
        return self._tensor(ref.value)

    def needs(self, name: str) -> bool:
        """Whether the gradient of this argument (of any in it, for a list) leads to a leaf."""
        argument = self.node.arguments.get(name)
        refs = argument if isinstance(argument, list | tuple) else [argument]
        return any(isinstance(ref, Ref) and ref.value in self.wanted for ref in refs)

    def _resolve(self, argument: Any) -> Any:
        if isinstance(argument, Ref):
            return self._tensor(argument.value)
        if isinstance(argument, list | tuple):
            return [self._resolve(one) for one in argument]
        return argument

    def _tensor(self, value: int) -> Tensor:
        tensor = self.tape.values[value].tensor
        if tensor is None:
            name = self.tape.values[value].name
            raise LensError(f"{self.node.op} at {self.node.site} read {name}, whose .data the program replaced later")
        if self.tape.values[value].role == "buffer":
            check_value(self.tape, value, f", and {self.node.op} at {self.node.site} read it")
        return tensor.detach()


def check_value(tape: Tape, number: int, why: str) -> None:
    """Raises LensError when the tensor was changed in place after the recording; `why` says what that spoils."""
    value = tape.values[number]
    if value.tensor is not None and not value.overwritten and version(value.tensor) != tape.versions[number]:
        raise LensError(
            f"{value.name} was changed in place after the recording{why}; "
            "ask for gradients before the weights are updated, or record again"
        )


def conjugated(rule: Rule) -> Rule:
    """The rule for complex numbers too: J̄ᵀg is the conjugate of Jᵀḡ."""
    if rule.wirtinger:
        return rule

    @wraps(rule.pullback)
    def pullback(call: Call, *incoming: Tensor | None) -> Gradients:
        if not any(g is not None and g.is_complex() for g in incoming):
            return rule.pullback(call, *incoming)
        found = rule.pullback(call, *(None if g is None else torch.conj_physical(g) for g in incoming))
        return {
            name: _conjugate(one) if isinstance(one, Tensor) else [None if g is None else _conjugate(g) for g in one]
            for name, one in found.items()
        }

    return replace(rule, pullback=pullback)


def _conjugate(gradient: Tensor) -> Tensor:
    return torch.conj_physical(gradient)


def unbroadcast(gradient: Tensor, shape: Sequence[int] | torch.Size) -> Tensor:
    """Sums over the axes along which a tensor of `shape` was repeated: the derivative of broadcasting."""
    extra = gradient.dim() - len(shape)
    axes = [*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1 and gradient.shape[extra + i] != 1)]
    return gradient.sum(axes, keepdim=True).reshape(tuple(shape)) if axes else gradient
