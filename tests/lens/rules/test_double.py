"""Gradients of gradients: each `*_backward` of torch has a rule made of ours, and it is what differences say."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from lens.agreement import largest_errors
from lens.rules.numbers import normal
from lens.rules.proof import along, by_differences, direction, prove, scale, weighted
from lens.rules.samples import SAMPLES
from torch import nn

from chainrule.lens import record
from chainrule.lens.rules.double import BY_NAME, DOUBLE

# Torch keeps a(1 − a) away from 0 by adding 1e-12.
LOOSE = {"binary_cross_entropy_backward": 1e-10}

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated")


def slopes(function):
    """What autograd says of half the squares of a function's results, as a function of its inputs."""

    def gradient(*inputs):
        with torch.enable_grad():
            leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in inputs]
            y = weighted(function(*leaves)) + weighted(_squares(function(*leaves)))
            found = torch.autograd.grad(y, leaves, create_graph=True, allow_unused=True)
        return [one for one in found if one is not None]

    return gradient


def _squares(result):
    given = result if isinstance(result, list | tuple) else [result]
    return [(y * y.conj()).real / 2 for y in given if y.requires_grad]


# Samples whose operation torch takes by another way when its gradient is to be differentiated.
MORE = {
    "batch_norm_backward": [
        (
            lambda x, w, b: torch.ops.aten._batch_norm_with_update(x, w, b, *_still(), 0.1, 1e-5)[0],
            (normal(4, 3), normal(3), normal(3, seed=1)),
        )
    ],
}


# Torch itself never asks for the gradient of these, and a program may.
DIRECT = {
    "native_dropout_backward": [
        (lambda g: torch.ops.aten.native_dropout_backward(g, normal(4, 3) > 0, 1.4), (normal(4, 3),))
    ],
}


def _still():
    return torch.zeros(3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)


def proofs(name):
    """The samples of the operation whose gradients use this `*_backward`, at most three."""
    found = []
    for function, tensors in MORE.get(name) or DIRECT.get(name) or SAMPLES[BY_NAME[name].operation]:
        proof = prove(function if name in DIRECT else slopes(function), tensors)
        if name in {node.rule_name for node in proof.tape.nodes}:
            found.append(proof)
        if len(found) == 3:
            break
    return found


@pytest.mark.parametrize("name", sorted(DOUBLE))
def test_the_rule_of_a_gradient_is_what_differences_and_autograd_say(name):
    found = proofs(name)
    assert found, "no sample uses it"
    for proof in found:
        ways = direction(proof)
        size, theirs = scale(proof, ways), by_differences(proof, ways)
        assert abs(along(proof, ways) - theirs.derivative) <= max(10 * theirs.error, 1e-9 * size)
        for ours, other in zip(proof.rules, proof.autograd, strict=True):
            assert float((ours - other).abs().max()) <= LOOSE.get(name, 1e-12) * max(float(other.abs().max()), 1.0)
        assert not [one for one in proof.dispatched.names if "backward" in one]
        assert not proof.dispatched.autograd


def test_a_gradient_penalty_is_differentiated():
    """WGAN-GP: the norm of the critic's gradient by its input is held near 1."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 1))
    critic.double()

    def penalty(x):
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return ((slope.norm(dim=1) - 1) ** 2).mean()

    assert max(largest_errors(record(penalty, normal(5, 4).requires_grad_())).values()) <= 1e-13


def test_a_step_inside_a_step_is_differentiated():
    """MAML: the loss after one step of gradient descent, by the weights before it."""
    x, y = normal(6, 3), normal(6, 1, seed=2)

    def after_a_step(w, b):
        def loss(w, b):
            return F.mse_loss(torch.sigmoid(x @ w + b), y)

        by_w, by_b = torch.autograd.grad(loss(w, b), (w, b), create_graph=True)
        return loss(w - 0.3 * by_w, b - 0.3 * by_b)

    tape = record(after_a_step, normal(3, 1, seed=3).requires_grad_(), normal(1, seed=4).requires_grad_())
    assert max(largest_errors(tape).values()) <= 1e-13


def test_a_product_of_the_hessian_and_a_vector_is_differentiated():
    v = normal(4, seed=1)

    def product(x):
        (slope,) = torch.autograd.grad((x.softmax(0) * x.exp()).sum(), x, create_graph=True)
        (turned,) = torch.autograd.grad(slope @ v, x, create_graph=True)
        return (turned * turned).sum()

    assert max(largest_errors(record(product, normal(4).requires_grad_())).values()) <= 1e-13


def test_a_first_order_step_inside_stays_a_constant():
    def loss(w):
        (slope,) = torch.autograd.grad((w.tanh() ** 2).sum(), w)
        return ((w - slope) ** 2).sum()

    assert max(largest_errors(record(loss, normal(4).requires_grad_())).values()) <= 1e-15


def test_what_the_program_detached_stays_detached():
    def loss(w):
        y = w.tanh()
        return (y.detach() * w).sum() + y.sum()

    assert max(largest_errors(record(loss, normal(4).requires_grad_())).values()) <= 1e-15
