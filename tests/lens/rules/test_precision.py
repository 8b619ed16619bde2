"""The rules on single numbers, against 30 digits."""

import pytest
import sympy
import torch
from lens.rules.formula_language import read_text, right_side
from lens.rules.formula_symbols import Region

from chainrule.lens import record, reverse
from chainrule.lens.rules import RULES

DIGITS = 30
ROUNDING = 2.0**-52
# mish stops at 8: its 1 − tanh² loses x/2 roundings of 1 where tanh is near 1.
SMOOTH = {
    "exp": (-20, 20), "expm1": (-5, 5), "log": (1e-3, 50), "log1p": (-0.9, 50), "tanh": (-6, 6), "sigmoid": (-30, 30),
    "log_sigmoid_forward": (-30, 30), "gelu": (-5, 5), "silu": (-20, 20), "mish": (-5, 8), "softplus": (-15, 15),
    "rsqrt": (1e-3, 50), "sqrt": (1e-3, 50), "reciprocal": (0.1, 50), "erf": (-4, 4),
    "sin": (-20, 20), "cos": (-20, 20), "atan": (-20, 20), "asin": (-0.99, 0.99),
    "atanh": (-0.99, 0.99), "asinh": (-20, 20), "sinh": (-5, 5),
}  # fmt: skip


def function_of(name):
    return {
        "log_sigmoid_forward": torch.nn.functional.logsigmoid, "gelu": torch.nn.functional.gelu,
        "silu": torch.nn.functional.silu, "mish": torch.nn.functional.mish, "softplus": torch.nn.functional.softplus,
    }.get(name) or getattr(torch, name)  # fmt: skip


def worst(name, n_points):
    """The largest error of the rule, in roundings of the slope, or of 1 where a slope that can be 1 is smaller."""
    x = torch.linspace(*SMOOTH[name], n_points, dtype=torch.float64).requires_grad_()
    tape = record(lambda x: function_of(name)(x).sum(), x)
    ours = reverse(tape)[tape.leaves()[0].id]
    letter = sympy.Symbol("x", real=True)
    beta = {"β": sympy.Integer(1)}
    value = Region({}, {"x": letter, **beta}).read(read_text(right_side(RULES[name].value.text)))
    slope = sympy.diff(value, letter)
    exact = [slope.evalf(DIGITS, subs={letter: sympy.Float(float(one), DIGITS)}) for one in x.detach()]
    size = [max(abs(one), 1 if name not in ("exp", "log", "sinh") else 0) for one in exact]
    return max(
        float(abs(sympy.Float(float(found), DIGITS) - one) / (scale * ROUNDING))
        for found, one, scale in zip(ours, exact, size, strict=True)
    )


@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_the_rule_is_good_to_a_few_roundings(name):
    assert worst(name, 9) <= 8


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SMOOTH))
def test_the_rule_is_good_to_a_few_roundings_at_two_hundred_points(name):
    assert worst(name, 200) <= 8
