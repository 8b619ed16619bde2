"""The gradients of one neuron by hand: every line an equation, the numbers in it, and what comes out."""

import math
from dataclasses import dataclass
from fractions import Fraction

from chainrule.lens.classics.programs import NEURON


@dataclass(frozen=True)
class HandLine:
    """One line of the calculation: `name` is what it finds, `equation` how, `numbers` with numbers put in."""

    name: str
    equation: str
    numbers: str
    result: float


def neuron_by_hand() -> tuple[HandLine, ...]:
    """Forward and backward with a pencil: the last two lines are the gradients by w and b. Plain Python floats."""
    w, b, x, y = (NEURON[name] for name in "wbxy")
    u = x * w
    z = u + b
    a = 1 / (1 + math.exp(-z))
    loss = -(y * math.log(a) + (1 - y) * math.log(1 - a))
    by_a = (a - y) / (a * (1 - a))
    slope = a * (1 - a)
    by_z = by_a * slope
    by_w = by_z * x
    return (
        HandLine("u", "x · w", f"{x:g} · {w:g}", u),
        HandLine("z", "u + b", f"{u:g} + {b:g}", z),
        HandLine("a", "1/(1 + e⁻ᶻ)", f"1/(1 + {math.exp(-z):.6f})", a),
        HandLine(
            "loss",
            "−y ln a − (1 − y) ln(1 − a)",
            f"−{y:g} · {math.log(a):.6f} − {1 - y:g} · {math.log(1 - a):.6f}",
            loss,
        ),
        HandLine("∂loss/∂a", "(a − y)/(a(1 − a))", f"({a:.6f} − {y:g})/({a:.6f} · {1 - a:.6f})", by_a),
        HandLine("∂a/∂z", "a(1 − a)", f"{a:.6f} · {1 - a:.6f}", slope),
        HandLine("∂loss/∂z", "∂loss/∂a · ∂a/∂z", f"{by_a:.6f} · {slope:.6f}", by_z),
        HandLine("∂loss/∂w", "∂loss/∂z · ∂z/∂u · ∂u/∂w", f"{by_z:.6f} · 1 · {x:g}", by_w),
        HandLine("∂loss/∂b", "∂loss/∂z · ∂z/∂b", f"{by_z:.6f} · 1", by_z),
    )


def ulps(found: float, exact: Fraction) -> float:
    """How far a float is from the exact number, in units of the float's last place."""
    return float(abs(Fraction(found) - exact) / Fraction(math.ulp(found)))
