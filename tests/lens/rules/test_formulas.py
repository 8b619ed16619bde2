"""The formulas that people read are what the rules compute, and SymPy proves that they are the derivatives."""

import random
from functools import cache

import pytest
import sympy
import torch
from lens.rules.formula_language import read_latex, read_text, right_side, symbols
from lens.rules.formula_numbers import compute
from lens.rules.formula_symbols import Region, is_zero
from lens.rules.proof import weights
from lens.rules.samples import proofs

from chainrule.lens.rules import RULES
from chainrule.lens.rules.activation import ACTIVATION
from chainrule.lens.rules.corners import CORNERS
from chainrule.lens.rules.elementary import ELEMENTARY
from chainrule.lens.rules.losses import LOSSES
from chainrule.lens.rules.pointwise import POINTWISE
from chainrule.lens.rules.rule import Call, unbroadcast
from chainrule.lens.rules.special import SPECIAL

OF_SEVERAL_NUMBERS = {"glu", "nll_loss_forward", "nll_loss2d_forward", "mvlgamma"}
# Their formulas have a number that is drawn, or functions of two numbers that SymPy has no derivative of.
BY_DIFFERENCES_ONLY = {"rrelu_with_noise", "polygamma", "nextafter", "frexp", "igamma", "igammac", "special_zeta"}
CHAPTERS = (POINTWISE, ELEMENTARY, SPECIAL, CORNERS, ACTIVATION, LOSSES)
ELEMENTWISE = sorted({name for rules in CHAPTERS for name in rules} - OF_SEVERAL_NUMBERS - BY_DIFFERENCES_ONLY)
POSITIVE_LETTERS = set("βδλ")
RANGES = ((-4.5, 4.5), (0.1, 0.9), (0.5, 3), (1.2, 3))
# Arguments that turn an operation into another one than its formula says.
OTHER_FORMULA = {"rounding_mode": None, "approximate": "none", "threshold": 20, "eps": None, "weight": None}

each_rule = pytest.mark.parametrize("name", ELEMENTWISE)


@cache
def trees(name, written):
    """The value's tree and the derivatives' trees, from the text or from the LaTeX."""
    read, rule = (read_text if written == "text" else read_latex), RULES[name]
    derivatives = {argument: getattr(formula, written) for argument, formula in rule.formulas.items()}
    return (
        read(right_side(getattr(rule.value, written))),
        {argument: read(right_side(formula)) for argument, formula in derivatives.items()},
    )


def plain_calls(name):
    """The sampled calls that the formula describes, each with the gradient that arrives and those handed on."""
    for tape in (proof.tape for proof in proofs(name)):
        for node in tape.nodes:
            if node.rule_name == name and node.func is not None and real(tape, node) and described(name, node):
                call = Call(tape, node, frozenset(node.inputs))
                g = weights(call.out)
                yield call, g, RULES[name].pullback(call, *[g, None, None][: len(node.outputs)])


def real(tape, node):
    return not any(tape.values[value].meta.dtype.is_complex for value in (*node.inputs, *node.outputs))


def described(name, node):
    special = {argument: usual for argument, usual in OTHER_FORMULA.items() if argument not in RULES[name].names}
    return all(node.arguments.get(a, usual) == usual for a, usual in special.items()) and (
        node.arguments.get("reduction", 0) == 0 and node.arguments.get("train") is not False
    )


def letters(call, name):
    """The numbers behind each letter of the formula."""
    missing = {"min": -torch.inf, "max": torch.inf, "pos_weight": 1.0}
    found = {}
    for argument, letter in RULES[name].names.items():
        given = call.get(argument)
        given = missing.get(argument) if given is None else given
        found[letter] = torch.as_tensor(given, dtype=torch.float64)
    if name == "native_dropout":
        found["m"] = call.output(1).double()
    return {**found, "y": call.out}


@each_rule
@pytest.mark.parametrize("written", ["text", "latex"])
def test_the_formula_is_what_the_rule_computes(name, written):
    value, derivatives = trees(name, written)
    n_calls = 0
    for call, g, handed_on in plain_calls(name):
        numbers = letters(call, name)
        close(compute(value, numbers), call.out)
        for argument, gradient in handed_on.items():
            close(unbroadcast(g * compute(derivatives[argument], numbers), gradient.shape), gradient)
        n_calls += 1
    assert n_calls, "no sample is described by the formula"


def close(formula, computed):
    torch.testing.assert_close(formula.expand(computed.shape), computed, rtol=1e-12, atol=1e-13)


@each_rule
def test_sympy_proves_the_derivative(name):
    """In every region that random points find; on the borders between them stands a convention."""
    value, derivatives = trees(name, "text")
    names = sorted(symbols(value).union(*(symbols(tree) for tree in derivatives.values())) - {"y"})
    dice, proved = random.Random(0), set()
    for k in range(60):
        drawn = {letter: dice.uniform(*RANGES[k % len(RANGES)]) for letter in names}
        drawn = {letter: abs(x) if letter in POSITIVE_LETTERS else x for letter, x in drawn.items()}
        point = {letter: torch.tensor(x, dtype=torch.float64) for letter, x in drawn.items()}
        point["y"] = compute(value, point)
        if not all(compute(tree, point).isfinite() for tree in (value, *derivatives.values())):
            continue
        symbol = {x: sympy.Symbol(x, positive=bool(point[x] > 0), negative=bool(point[x] < 0)) for x in names}
        above = Region(point, symbol)
        y = above.read(value)
        below = Region(point, {**symbol, "y": y})
        found = {argument: below.read(tree) for argument, tree in derivatives.items()}
        region = str((above.decisions, below.decisions))
        if region not in proved:
            for argument, formula in found.items():
                assert is_zero(sympy.diff(y, symbol[RULES[name].names[argument]]) - formula), (argument, point)
            proved.add(region)
    assert proved
