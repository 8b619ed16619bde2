"""The one neuron by symbols: SymPy differentiates the loss, and its value to as many digits as are asked for.

The file is run by itself, as a process that reads one JSON object, the arguments of `neuron_by_symbols`, and prints
what that returns: so SymPy is imported on one core while torch is on another. It imports nothing else, to be there in
time.
"""

import json
import sys
from collections.abc import Mapping
from fractions import Fraction

import sympy  # type: ignore[import-untyped]


def neuron_by_symbols(neuron: Mapping[str, float], activation: float, digits: int = 30) -> list[dict[str, str]]:
    """The derivatives by w and b of the neuron with these w, b, x and y, read as the decimal numbers that they print.

    `activation` is sigmoid(z) as a machine has rounded it. The keys are those of the demo's `Derivative`.
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
            {
                "by": str(by),
                "expression": str(chain),
                "digits": str(sympy.N(derivative.subs(numbers), digits)),
                "exact": str(Fraction(str(sympy.N(derivative.subs(numbers), 2 * digits)))),
                "at_activation": str(Fraction(int(there.p), int(there.q))),
            }
        )
    return found


def main() -> None:
    """Answers the one request on standard input."""
    sys.stdout.write(json.dumps(neuron_by_symbols(**json.loads(sys.stdin.readline()))) + "\n")


def _exactly(number: float) -> sympy.Rational:
    return sympy.Rational(*number.as_integer_ratio())


if __name__ == "__main__":
    main()
