"""One training step of the small network with a pencil, and its training to the end."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.lens.classics.programs import LEARNING_RATE, SmallNetwork
from chainrule.lens.tape import Subject

GOOD_ENOUGH = 0.01
MOST_STEPS = 5000


@dataclass(frozen=True)
class ByHand:
    """All numbers of one step: the values of the forward pass, then the gradients of these and of the weights."""

    forward: dict[str, Tensor]
    backward: dict[str, Tensor]
    gradients: dict[str, Tensor]


@torch.no_grad()
def network_by_hand(subject: Subject) -> ByHand:
    """Forward and backward of the small network in products and sums, without autograd and without rules."""
    model, (x, y) = network_of(subject), subject.inputs
    w1, b1, w2, b2 = model.hidden.weight, model.hidden.bias, model.out.weight, model.out.bias
    h = x @ w1.T + b1
    r = h.clamp(min=0)
    z = r @ w2.T + b2
    a = 1 / (1 + torch.exp(-z))
    loss = -(y * a.log() + (1 - y) * (1 - a).log()).mean()
    by_z = (a - y) / y.numel()  # (a − y)/(a(1 − a)) · a(1 − a)
    by_r = by_z @ w2
    by_h = by_r * (h > 0)
    gradients = {
        "hidden.weight": by_h.T @ x,
        "hidden.bias": by_h.sum(0),
        "out.weight": by_z.T @ r,
        "out.bias": by_z.sum(0),
    }
    return ByHand(
        {"h": h, "r": r, "z": z, "a": a, "loss": loss},
        {"∂loss/∂z": by_z, "∂loss/∂r": by_r, "∂loss/∂h": by_h},
        gradients,
    )


@dataclass(frozen=True)
class ZeroGrad:
    """Norms of the gradient of two backward passes, with and without `zero_grad` between them."""

    first: float
    with_zero_grad: float
    without: float


def zero_grad_matters(subject: Subject) -> ZeroGrad:
    """What `.grad` holds after two backward passes: without zero_grad the second is added to the first."""
    parameters = list(network_of(subject).parameters())
    norms = []
    for clear in (True, True, False):
        for parameter in parameters if clear else ():
            parameter.grad = None
        torch.autograd.backward(subject.target(*subject.inputs))
        norms.append(_norm(parameters))
    for parameter in parameters:
        parameter.grad = None
    return ZeroGrad(*norms)


def train_network(subject: Subject, *, lr: float = LEARNING_RATE, until: float = GOOD_ENOUGH) -> list[float]:
    """Trains in place with SGD until the loss is small enough (5,000 steps at most); the loss before each step."""
    weights = list(network_of(subject).parameters())
    losses: list[float] = []
    while len(losses) < MOST_STEPS:
        loss = subject.target(*subject.inputs)
        losses.append(float(loss.detach()))
        if losses[-1] <= until:
            break
        sgd_step(weights, torch.autograd.grad(loss, weights), lr)
    return losses


@torch.no_grad()
def sgd_step(weights: Sequence[Tensor], gradients: Sequence[Tensor], lr: float = LEARNING_RATE) -> None:
    """Every weight goes against its gradient: w ← w − lr · ∂loss/∂w. What torch.optim.SGD does, without its import."""
    for weight, gradient in zip(weights, gradients, strict=True):
        weight -= lr * gradient


def network_of(subject: Subject) -> SmallNetwork:
    """The module of the network subject."""
    model = getattr(subject.target, "__self__", None)
    assert isinstance(model, SmallNetwork)
    return model


def _norm(parameters: list[torch.nn.Parameter]) -> float:
    return float(torch.stack([p.grad.norm() for p in parameters if p.grad is not None]).norm())
