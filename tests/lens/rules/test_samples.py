"""Every rule is proved: a new one fails here until it has a sample, and then proves itself."""

from pathlib import Path

import pytest
import torch
from lens.rules.proof import along, by_differences, by_forward_mode, direction, prove, scale
from lens.rules.samples import AT_CORNERS, ELSEWHERE, SAME_AS, SAMPLES, proofs

from chainrule.lens.engine import differentiable
from chainrule.lens.rules import RULES

# Torch's own float64 gradients of these pass through single precision: differences agree with the
# rules, and not with autograd.
# Its polygamma(1, x) has ten digits.
INEXACT_IN_TORCH = {"hardsigmoid": 1e-7, "celu": 1e-8, "digamma": 1e-8, "polygamma": 1e-8}
# With whole exponents torch's 2ᵇ is a whole number, so that 2⁻² is 0 in its gradient: differences agree with the rule.
# And it hands on, past what a strided write put there, whatever the memory had.
WRONG_IN_TORCH = {"ldexp", "as_strided_scatter"}
# Forward mode of torch 2.13 differs from its own backward mode, from differences and from the rules.
WRONG_FORWARD_IN_TORCH = {"cholesky_inverse", "scatter_reduce", "triangular_solve"} | WRONG_IN_TORCH
EXACT = 1e-13

# Torch says of some that they are old, and of others that they are new.
pytestmark = pytest.mark.filterwarnings("ignore:.*(deprecated|beta)")

each_rule = pytest.mark.parametrize("name", sorted(SAMPLES))


def largest_error(ours, theirs):
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.numel()]
    return max((float((a - b).abs().max() / (b.abs().max() or 1)) for a, b in pairs), default=0.0)


def test_every_rule_has_a_sample():
    assert set(RULES) == {*SAMPLES, *SAME_AS, *ELSEWHERE}
    assert all(RULES[name] is RULES[proved] for name, proved in SAME_AS.items())
    assert all((Path(__file__).parent / file).is_file() for file in ELSEWHERE.values())


@each_rule
def test_the_rule_has_a_formula_and_a_letter_for_each_argument_that_it_differentiates_by(name):
    for proof in proofs(name):
        wanted = differentiable(proof.tape)
        for node in proof.tape.nodes:
            if node.rule_name == name:
                live = {argument.split("[")[0] for argument, ref in node.references() if ref.value in wanted}
                assert live <= set(RULES[name].formulas)
                assert live <= set(RULES[name].names)


@each_rule
def test_the_rule_is_what_differences_say(name):
    for proof in proofs(name):
        assert name in {node.rule_name for node in proof.tape.nodes}, "the sample does not use the rule"
        ways = direction(proof)
        size, ours, theirs = scale(proof, ways), along(proof, ways), by_differences(proof, ways)
        assert theirs.error <= 1e-6 * size, "the sample is not smooth here"
        assert abs(ours - theirs.derivative) <= max(10 * theirs.error, 1e-10 * size)


@each_rule
def test_the_rule_is_the_adjoint_of_forward_mode(name):
    """⟨Jv, u⟩ = ⟨v, Jᵀu⟩, where torch has forward mode for the operation."""
    for proof in proofs(name):
        ways = direction(proof)
        try:
            theirs = by_forward_mode(proof, ways)
        except (NotImplementedError, RuntimeError) as fault:
            if "forward" not in str(fault):
                raise
            continue
        if proof.autograd_sees_all and name not in WRONG_FORWARD_IN_TORCH:
            tolerance = INEXACT_IN_TORCH.get(name, EXACT)
            assert abs(along(proof, ways) - theirs) <= tolerance * scale(proof, ways)


@each_rule
def test_the_rule_is_what_autograd_says(name):
    for proof in proofs(name):
        if proof.autograd_sees_all and name not in WRONG_IN_TORCH:
            assert largest_error(proof.rules, proof.autograd) <= INEXACT_IN_TORCH.get(name, EXACT)


@each_rule
def test_the_walk_back_uses_neither_autograd_nor_a_backward_operation(name):
    for proof in proofs(name):
        assert not proof.dispatched.autograd
        assert not [operation for operation in proof.dispatched.names if "backward" in operation]
        assert all(g.dtype == x.dtype for g, x in zip(proof.rules, proof.inputs, strict=True))


@pytest.mark.parametrize("name", sorted(AT_CORNERS))
def test_corners_are_what_torch_chose(name):
    for function, tensors in AT_CORNERS[name]:
        proof = prove(function, tensors)
        for ours, theirs in zip(proof.rules, proof.autograd, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=0, equal_nan=True)
