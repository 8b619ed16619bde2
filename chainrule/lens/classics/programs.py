"""The two classic examples: one neuron, and a small network with one hidden layer."""

import torch
from torch import Tensor, nn

from chainrule.lens.tape import Subject

NEURON = {"w": 2.2, "b": 0.0, "x": 1.1, "y": 1.0}
LEARNING_RATE = 0.01


def one_neuron(w: Tensor, b: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy of sigmoid(x·w + b) against the label y; each line is one operation."""
    u = x * w
    z = u + b
    a = torch.sigmoid(z)
    loss = nn.functional.binary_cross_entropy(a, y)
    return loss


def neuron(dtype: torch.dtype = torch.float64) -> Subject:
    """The neuron with w = 2.2, b = 0, on x = 1.1 with the label y = 1: its gradients are -0.0898 and -0.0817."""
    inputs = (torch.tensor(NEURON[name], dtype=dtype, requires_grad=name in "wb") for name in "wbxy")
    return Subject("neuron", one_neuron, tuple(inputs))


class SmallNetwork(nn.Module):
    """Linear(10, 5), ReLU, Linear(5, 1), Sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(10, 5)
        self.out = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The probability of the label 1 for each row of `x`; each line is one layer."""
        h = self.hidden(x)
        r = torch.relu(h)
        z = self.out(r)
        a = torch.sigmoid(z)
        return a

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Binary cross-entropy against the labels `y`, which have the output's shape: PyTorch refuses another."""
        a = self(x)
        loss = nn.functional.binary_cross_entropy(a, y)
        return loss


def network(seed: int = 0, dtype: torch.dtype = torch.float64) -> Subject:
    """The small network on one example of ten numbers with the label 1; weights and example are random by `seed`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, x = SmallNetwork().to(dtype), torch.randn(1, 10).to(dtype)
    return Subject("network", model.loss, (x, torch.ones(1, 1, dtype=dtype)))
