"""The one neuron by symbols: SymPy differentiates the loss, and its value to as many digits as are asked for.

`python -m chainrule.cli.lens_symbols` is a process of its own that reads one JSON object, the arguments of
`neuron_by_symbols`, and prints its derivatives: so SymPy is imported on one core while torch is on another.
"""

import json
import sys
from collections.abc import Mapping
from fractions import Fraction

import sympy  # type: ignore[import-untyped]

from chainrule.cli.lens_demo_neuron import Derivative


def neuron_by_symbols(neuron: Mapping[str, float], activation: float, digits: int = 30) -> tuple[Derivative, ...]:
    """The derivatives by w and b of the neuron with these w, b, x and y, read as the decimal numbers that they print.

    `activation` is sigmoid(z) as a machine has rounded it.
    """
    w, b, x, y, a = sympy.symbols("w b x y a")
    sigmoid = 1 / (1 + sympy.exp(-(x * w + b)))
    loss_of_a = -(y * sympy.log(a) + (1 - y) * sympy.log(1 - a))
    loss = loss_of_a.subs(a, sigmoid)
    numbers = {letter: sympy.Rational(str(neuron[str(letter)])) for letter in (w, b, x, y)}
    z = x * w + b
    found = []
    for by in (w, b):
        derivative = sympy.diff(loss, by)
        # The same chain with sigmoid's value as a letter of its own: dσ/dz = a(1 − a), and ∂z/∂w = x.
        slope, by_z = sympy.diff(z, by), sympy.cancel(sympy.diff(loss_of_a, a) * a * (1 - a))
        chain = by_z if slope == 1 else sympy.Mul(slope, by_z, evaluate=False)
        there = chain.subs({a: _exactly(activation), x: _exactly(neuron["x"]), y: _exactly(neuron["y"])})
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


def main() -> None:
    """Answers the one request on standard input."""
    found = neuron_by_symbols(**json.loads(sys.stdin.readline()))
    print(json.dumps([{key: str(value) for key, value in vars(one).items()} for one in found]))


def _exactly(number: float) -> sympy.Rational:
    return sympy.Rational(*number.as_integer_ratio())


if __name__ == "__main__":
    main()
