"""The small network told: one training step in five stages, what zero_grad() prevents, the training to the end."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.lens.classics.network_steps import (
    ByHand,
    ZeroGrad,
    network_by_hand,
    train_network,
    zero_grad_matters,
)
from chainrule.lens.classics.ways import by_autograd, by_numbers, by_rules, largest_difference
from chainrule.lens.ledgers import Ledger, ledger, ledger_lines
from chainrule.lens.tape import Subject

STATEMENT = """A small network: ten numbers in, Linear(10, 5), ReLU, Linear(5, 1), sigmoid; one example, label 1.
61 weights, binary cross-entropy, SGD with lr 0.01. One training step, in its five stages:"""
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class NetworkDemo:
    """Everything that is told of the network, as numbers."""

    hand: ByHand
    ways: Mapping[str, Mapping[str, Any]]
    book: Ledger
    before: Mapping[str, Any]
    zeroed: ZeroGrad
    losses: Sequence[float]
    output: float


def network_demo(subject: Subject) -> NetworkDemo:
    """The step by hand and in three other ways, then the training of `subject`, which moves its weights."""
    tape = subject.record()
    hand = network_by_hand(subject)
    ways = {"rules": by_rules(tape), "autograd": by_autograd(tape), "numbers": by_numbers(subject, tape)}
    book = ledger(tape)
    before, zeroed = _weights(subject), zero_grad_matters(subject)
    losses = train_network(subject)
    output = float(network_by_hand(subject).forward["a"])
    return NetworkDemo(hand, ways, book, before, zeroed, losses, output)


def network_lines(demo: NetworkDemo) -> Iterator[str]:
    """The step in its five stages, and what follows."""
    hand, losses = demo.hand, demo.losses
    yield from (STATEMENT, "\n1. Forward: output = model(x)\n", *_forward(hand))
    yield "\n2. Loss: how far the output is from the label 1\n"
    yield f"  loss = −ln a = −ln {float(hand.forward['a']):.6f} = {float(hand.forward['loss']):.6f}"
    yield "\n3. Backward: loss.backward() walks from the loss to every weight\n"
    yield from (f"  {line}" for line in ledger_lines(demo.book, title="network", width=98)[2:])
    yield from ("\n4. The gradients, by name, four ways\n", *_gradients(hand, demo.ways))
    yield "\n5. Update: optimizer.step() moves each weight against its gradient, w ← w − 0.01 · gradient\n"
    yield from _update(demo.before, hand, losses)
    yield "\nWhat zero_grad() prevents: backward() adds to .grad what it finds, it does not replace it\n"
    yield from _zeroed(demo.zeroed)
    yield f"\nTrained to the end: these steps, {len(losses) - 1} times\n"
    yield f"  loss {losses[0]:.6f} {sparkline(losses, 60)} {losses[-1]:.6f}"
    yield f"  output {float(hand.forward['a']):.6f} → {demo.output:.6f}, the label is 1"


def network_facts(demo: NetworkDemo) -> dict[str, Any]:
    """All of it for JSON."""
    by_hand, zeroed = demo.hand.gradients, demo.zeroed
    return {
        "forward": {name: tensor.tolist() for name, tensor in demo.hand.forward.items()},
        "gradients": {name: tensor.tolist() for name, tensor in by_hand.items()},
        "differences_from_by_hand": {way: largest_difference(dict(found), by_hand) for way, found in demo.ways.items()},
        "zero_grad": {"first": zeroed.first, "with": zeroed.with_zero_grad, "without": zeroed.without},
        "losses": list(demo.losses),
        "output": demo.output,
    }


def sparkline(numbers: Sequence[float], width: int) -> str:
    """The numbers as bars from 0 to the largest; where there are more than `width`, evenly spread ones."""
    chosen = (
        [numbers[round(i * (len(numbers) - 1) / (width - 1))] for i in range(width)]
        if len(numbers) > width
        else numbers
    )
    top = max(chosen)
    return "".join(BARS[min(len(BARS) - 1, int(number / top * len(BARS)))] for number in chosen)


def _weights(subject: Subject) -> dict[str, Any]:
    model: Any = subject.target.__self__  # type: ignore[union-attr]
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def _row(tensor: Any) -> str:
    return " ".join(f"{number:9.6f}" for number in tensor.flatten().tolist())


def _forward(hand: ByHand) -> Iterator[str]:
    said = {"h": "x W₁ᵀ + b₁", "r": "max(h, 0)", "z": "r W₂ᵀ + b₂", "a": "1/(1 + e⁻ᶻ)"}
    for name, equation in said.items():
        yield f"  {name} = {equation:<12} = {_row(hand.forward[name])}"


def _gradients(hand: ByHand, ways: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield f"  {'':<15} {'shape':<8} {'norm':<10} {'by hand':<10} {'by the rules':<13} {'by autograd':<12} by numbers"
    for name, by_hand in hand.gradients.items():
        place = (0,) * by_hand.dim()
        one = [
            float(found[place])
            for found in (by_hand, ways["rules"][name], ways["autograd"][name], ways["numbers"][name])
        ]
        shape = "×".join(map(str, by_hand.shape))
        yield (
            f"  {name:<15} {shape:<8} {float(by_hand.norm()):<10.6f} "
            f"{one[0]:<10.6f} {one[1]:<13.6f} {one[2]:<12.6f} {one[3]:.6f}"
        )
    yield "  (of the last four columns, the first element of each)"
    for way, title in (("autograd", "by hand and by autograd"), ("rules", "by hand and by the rules")):
        yield f"  largest relative difference {title}: {largest_difference(dict(ways[way]), hand.gradients):.1e}"
    numbers = largest_difference(dict(ways["numbers"]), hand.gradients)
    yield f"  largest relative difference by hand and by numbers: {numbers:.1e}"


def _update(before: Mapping[str, Any], hand: ByHand, losses: Sequence[float]) -> Iterator[str]:
    for name, gradient in hand.gradients.items():
        place = (0,) * gradient.dim()
        w, g = float(before[name][place]), float(gradient[place])
        yield f"  {name + str(list(place)):<20} {w:9.6f} − 0.01 · {g:9.6f} = {w - 0.01 * g:9.6f}"
    yield f"  the loss goes from {losses[0]:.6f} to {losses[1]:.6f}"


def _zeroed(found: ZeroGrad) -> Iterator[str]:
    yield f"  first backward()                  ‖gradient‖ = {found.first:.6f}"
    yield f"  zero_grad(), then backward()      ‖gradient‖ = {found.with_zero_grad:.6f}"
    yield f"  backward() once more without it   ‖gradient‖ = {found.without:.6f}, the sum of both: a step twice as long"
