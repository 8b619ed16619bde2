"""The one neuron by symbols: SymPy differentiates the loss, and its value to as many digits as are asked for."""

from dataclasses import dataclass
from fractions import Fraction

import sympy  # type: ignore[import-untyped]

from chainrule.lens import NEURON


@dataclass(frozen=True)
class Derivative:
    """The derivative of the loss by `by`.

    `expression` is SymPy's, in a = sigmoid(z). `digits` is the value for the decimal numbers 2.2, 0, 1.1 and 1,
    `exact` the same with twice the digits, and `at_activation` the exact value at the `a` that was given.
    """

    by: str
    expression: str
    digits: str
    exact: Fraction
    at_activation: Fraction


def neuron_by_symbols(activation: float, digits: int = 30) -> tuple[Derivative, ...]:
    """The derivatives by w and b. `activation` is sigmoid(z) as a machine has rounded it."""
    w, b, x, y, a = sympy.symbols("w b x y a")
    sigmoid = 1 / (1 + sympy.exp(-(x * w + b)))
    loss_of_a = -(y * sympy.log(a) + (1 - y) * sympy.log(1 - a))
    loss = loss_of_a.subs(a, sigmoid)
    numbers = {letter: sympy.Rational(str(NEURON[str(letter)])) for letter in (w, b, x, y)}
    z = x * w + b
    found = []
    for by in (w, b):
        derivative = sympy.diff(loss, by)
        # The same chain with sigmoid's value as a letter of its own: dσ/dz = a(1 − a), and ∂z/∂w = x.
        slope, by_z = sympy.diff(z, by), sympy.cancel(sympy.diff(loss_of_a, a) * a * (1 - a))
        chain = by_z if slope == 1 else sympy.Mul(slope, by_z, evaluate=False)
        there = chain.subs({a: _exactly(activation), x: _exactly(NEURON["x"]), y: _exactly(NEURON["y"])})
        found.append(
            Derivative(
                str(by),
                str(chain),
                str(sympy.N(derivative.subs(numbers), digits)),
                Fraction(str(sympy.N(derivative.subs(numbers), 2 * digits))),
                Fraction(int(there.p), int(there.q)),
            )
        )
    return tuple(found)


def _exactly(number: float) -> sympy.Rational:
    return sympy.Rational(*number.as_integer_ratio())
