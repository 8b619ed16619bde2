"""A formula as SymPy has it, within one region: brackets, corners and steps are decided by a point inside it."""

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy
from lens.rules.formula_numbers import ARITHMETIC, compute
from torch import Tensor

SMOOTH = {
    "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan, "arsinh": sympy.asinh, "arcosh": sympy.acosh,
    "artanh": sympy.atanh, "sinh": sympy.sinh, "cosh": sympy.cosh, "tanh": sympy.tanh, "sin": sympy.sin,
    "cos": sympy.cos, "tan": sympy.tan, "exp": sympy.exp, "ln": sympy.log, "sqrt": sympy.sqrt, "erf": sympy.erf,
    "erfinv": sympy.erfinv, "atan2": sympy.atan2,
    "log₂": lambda x: sympy.log(x) / sympy.log(2), "log₁₀": lambda x: sympy.log(x) / sympy.log(10),
    "lnΓ": sympy.loggamma, "ψ": sympy.digamma, "ψ₁": lambda x: sympy.polygamma(1, x),
    "I₀": lambda x: sympy.besseli(0, x), "I₁": lambda x: sympy.besseli(1, x),
    "σ": lambda x: 1 / (1 + sympy.exp(-x)),
    "Φ": lambda x: (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
    "φ": lambda x: sympy.exp(-(x**2) / 2) / sympy.sqrt(2 * sympy.pi),
}  # fmt: skip
CONSTANT_STEPS = {"trunc": math.trunc, "round": round, "floor": math.floor, "ceil": math.ceil}


@dataclass
class Region:
    """A point (a number for each letter), the letters' symbols, and what was decided on the way."""

    point: Mapping[str, Tensor]
    letters: Mapping[str, sympy.Expr]
    decisions: list = field(default_factory=list)

    def decide(self, what):
        self.decisions.append(what)
        return what

    def read(self, tree: tuple) -> sympy.Expr:
        kind, *parts = tree
        if kind == "number":
            return {math.pi: sympy.pi, math.e: sympy.E}.get(parts[0]) or sympy.Rational(parts[0])
        if kind == "symbol":
            return self.letters[parts[0]]
        if kind == "[]":
            return sympy.Integer(self.decide(int(compute(tree, self.point))))
        if kind != "call":
            return ARITHMETIC[kind](*(self.read(part) for part in parts))
        name, arguments = parts[0], [self.read(part) for part in parts[1:]]
        if name in SMOOTH:
            return SMOOTH[name](*arguments)
        numbers = [float(compute(part, self.point)) for part in parts[1:]]
        if name in CONSTANT_STEPS:
            return sympy.Integer(self.decide(CONSTANT_STEPS[name](numbers[0])))
        if name in ("max", "min"):
            first = self.decide((operator.gt if name == "max" else operator.lt)(*numbers))
            return arguments[0 if first else 1]
        sign = self.decide(1 if numbers[0] > 0 else -1)
        return sympy.Integer(sign) if name == "sign" else sign * arguments[0]


def is_zero(expression: sympy.Expr) -> bool:
    """Whether SymPy can bring the expression to 0."""
    if expression == 0 or sympy.cancel(sympy.powsimp(sympy.expand(expression))) == 0:
        return True
    exponential = expression.rewrite(sympy.exp)
    return sympy.cancel(sympy.together(sympy.expand(exponential))) == 0 or sympy.simplify(expression) == 0
