"""How rules are written down: makers of formulas, and of the rules for functions of one number.

In every formula y is the result, and g (or G, for a matrix) the gradient ∂L/∂y that arrives from behind. [condition]
is 1 where the condition holds and 0 elsewhere.
"""

from collections.abc import Callable, Mapping
from functools import wraps

import torch
from torch import Tensor

from chainrule.lens.rules.rule import Call, Formula, Gradients, Rule, unbroadcast


def value(text: str, latex: str) -> Formula:
    """What an operation computes: `y = …`."""
    return Formula(f"y = {text}", f"y = {latex}")


def slope(letter: str, text: str, latex: str, letter_latex: str | None = None) -> Formula:
    """A local derivative: `∂y/∂x = …`."""
    return Formula(f"∂y/∂{letter} = {text}", rf"\frac{{\partial y}}{{\partial {letter_latex or letter}}} = {latex}")


def onward(letter: str, text: str, latex: str, letter_latex: str | None = None) -> Formula:
    """What is handed on to an argument: `∂L/∂X = …`, with the arriving gradient g inside."""
    return Formula(f"∂L/∂{letter} = {text}", rf"\frac{{\partial L}}{{\partial {letter_latex or letter}}} = {latex}")


def unary(
    gradient: Callable[[Tensor, Tensor, Tensor], Tensor],
    what: tuple[str, str],
    derivative: tuple[str, str],
    argument: str = "self",
    *,
    wirtinger: bool = False,
) -> Rule:
    """The rule of a function of one number; `gradient(g, x, y)` is handed on. Half precision is computed in float32."""

    @wraps(gradient)
    def pullback(call: Call, g: Tensor, *_: Tensor | None) -> Gradients:
        return {argument: gradient(wide(g), wide(call[argument]), wide(call.out))}

    return Rule(pullback, value(*what), {argument: slope("x", *derivative)}, {argument: "x"}, wirtinger)


def wide(x: Tensor) -> Tensor:
    """The tensor in at least float32."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def wanted(call: Call, gradients: Mapping[str, Callable[[], Tensor]]) -> dict[str, Tensor]:
    """Computes what is needed, and sums it over the axes along which the argument was repeated."""
    return {name: unbroadcast(gradient(), call[name].shape) for name, gradient in gradients.items() if call.needs(name)}
