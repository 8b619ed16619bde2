"""The classics: the numbers of the textbook, found in every way."""

from fractions import Fraction
from itertools import pairwise

import pytest
import torch

from chainrule.lens import network, neuron
from chainrule.lens.classics import by_autograd, by_numbers, by_rules
from chainrule.lens.classics.network_steps import network_by_hand, train_network, zero_grad_matters
from chainrule.lens.classics.neuron_steps import neuron_by_hand, ulps
from chainrule.lens.classics.programs import NEURON
from chainrule.lens.classics.ways import largest_difference

W, B = -0.08982628100775408, -0.08166025546159461
# SymPy, 30 digits; tests/cli/test_lens_demo.py derives them.
EXACT_W, EXACT_B = "-0.0898262810077541158836625094778", "-0.0816602554615946508033295540708"


def test_the_neuron_by_hand_by_the_rules_and_by_autograd_agree_to_the_last_bit():
    tape = neuron().record()
    hand = {line.name: line.result for line in neuron_by_hand()}
    for found in (by_rules(tape), by_autograd(tape)):
        assert (float(found["w"]), float(found["b"])) == (W, B) == (hand["∂loss/∂w"], hand["∂loss/∂b"])


def test_numbers_find_the_neurons_gradients_too():
    subject = neuron()
    found = by_numbers(subject, subject.record())
    assert float(found["w"]) == pytest.approx(W, rel=1e-10) and float(found["b"]) == pytest.approx(B, rel=1e-10)
    assert [float(one.detach()) for one in subject.inputs] == [NEURON[name] for name in "wbxy"]


def test_every_line_by_hand_follows_from_its_numbers():
    lines = {line.name: line for line in neuron_by_hand()}
    assert lines["∂loss/∂z"].result == lines["∂loss/∂a"].result * lines["∂a/∂z"].result
    for line in lines.values():
        if all(sign not in line.numbers for sign in "−²/"):
            assert eval(line.numbers.replace("·", "*")) == pytest.approx(line.result, abs=2e-6)


def test_the_neuron_is_within_four_ulps_of_the_exact_gradient_which_is_what_rounding_a_leaves():
    for found, exact in ((W, EXACT_W), (B, EXACT_B)):
        assert ulps(found, Fraction(exact)) < 4
    assert ulps(1.0, Fraction(1)) == 0 and ulps(1.0, Fraction(1) + Fraction(1, 2**52)) == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_network_by_hand_by_the_rules_and_by_autograd_agree(seed):
    subject = network(seed)
    tape, hand = subject.record(), network_by_hand(subject)
    assert largest_difference(by_rules(tape), hand.gradients) <= 1e-15
    assert largest_difference(by_autograd(tape), hand.gradients) <= 1e-15
    assert float(hand.forward["loss"]) == pytest.approx(float(tape.values[tape.loss].tensor.detach()), rel=1e-15)


def test_numbers_find_all_gradients_of_the_network():
    subject = network()
    before = [one.detach().clone() for one in subject.target.__self__.parameters()]
    found = by_numbers(subject, subject.record())
    assert sum(gradient.numel() for gradient in found.values()) == 61
    assert largest_difference(found, network_by_hand(subject).gradients) <= 1e-9
    assert all(map(torch.equal, before, subject.target.__self__.parameters()))


def test_the_network_is_the_same_each_time_and_leaves_the_generator_alone():
    state = torch.get_rng_state()
    first, second = network(3), network(3)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.inputs[0], second.inputs[0])
    assert not torch.equal(first.inputs[0], network(4).inputs[0])


def test_without_zero_grad_the_second_gradient_is_added_to_the_first():
    subject = network()
    found = zero_grad_matters(subject)
    assert found.first == found.with_zero_grad
    assert found.without == pytest.approx(2 * found.first, rel=1e-12)
    assert all(parameter.grad is None for parameter in subject.target.__self__.parameters())


@pytest.mark.parametrize("seed", [0, 5])
def test_training_ends_at_a_small_loss_and_never_rises(seed):
    losses = train_network(network(seed))
    assert losses[-1] <= 0.01 and all(later < earlier for earlier, later in pairwise(losses))


@pytest.mark.slow  # torch.optim imports the compiler
def test_training_is_what_torchs_sgd_does():
    ours, theirs = network(), network()
    losses = train_network(ours, until=0.8)
    optimizer = torch.optim.SGD(theirs.target.__self__.parameters(), lr=0.01)
    for expected in losses:
        loss = theirs.target(*theirs.inputs)
        assert float(loss.detach()) == expected
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
