"""A small network of your own under the lens: train it, and see after every hundred steps what reaches its first layer.

python examples/lens_network.py
python examples/lens_network.py --steps 1000 --lr 0.1
"""

import argparse

import torch
from torch import nn

from chainrule.lens import ledger, record, render


class Network(nn.Module):
    """Tells points inside the unit circle from those outside."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(2, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """One score for each point; above 0 means inside."""
        h = self.hidden(points)
        t = torch.tanh(h)
        score = self.out(t)
        return score


def main(steps: int, lr: float, seed: int) -> None:
    """Trains by plain gradient descent; prints loss and gradient norms on the way, and the whole ledger at the end."""
    torch.manual_seed(seed)
    points = torch.randn(64, 2)
    inside = (points.norm(dim=1, keepdim=True) < 1).float()
    model, judge = Network(), nn.BCEWithLogitsLoss()
    for step in range(steps + 1):
        loss = judge(model(points), inside)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        if step % 100 == 0:
            named = zip(dict(model.named_parameters()), gradients, strict=True)
            shown = ", ".join(f"{name} {float(gradient.norm()):.4f}" for name, gradient in named)
            print(f"step {step:>5}: loss {float(loss.detach()):.4f}, gradients: {shown}")
        with torch.no_grad():
            for weight, gradient in zip(model.parameters(), gradients, strict=True):
                weight.sub_(lr * gradient)
    tape = record(model, points, loss=lambda score: judge(score, inside))
    print("\n" + render(ledger(tape), title="after training"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
