"""`chainrule lens demo network`: one training step in its five stages, then training to the end."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.cli.lens_page import Page, PageFormat, page_wanted, write_page
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json

if TYPE_CHECKING:
    from chainrule.lens import ByHand, Subject, ZeroGrad

STATEMENT = """A small network: ten numbers in, Linear(10, 5), ReLU, Linear(5, 1), sigmoid; one example, label 1.
61 weights, binary cross-entropy, SGD with lr 0.01. One training step, in its five stages:"""
BARS = "▁▂▃▄▅▆▇█"


def network(*, seed: int = 0, out: Page = None, as_format: PageFormat = None, as_json: AsJson = False) -> None:
    """Walk through one training step: forward, loss, backward, gradients by name, update; then train to the end.

    For example:

    - `chainrule lens demo network`
    - `chainrule lens demo network --out network.html`

    Parameters
    ----------
    seed
        Of the random weights and of the example.
    """
    from chainrule.lens import (
        by_autograd,
        by_numbers,
        by_rules,
        ledger,
        ledger_lines,
        network_by_hand,
        train_network,
        zero_grad_matters,
    )
    from chainrule.lens import network as subject_of

    subject = subject_of(seed)
    if page_wanted(out, as_format, as_json):
        write_page(subject, out, as_format)
        return
    tape = subject.record()
    hand = network_by_hand(subject)
    ways = {"rules": by_rules(tape), "autograd": by_autograd(tape), "numbers": by_numbers(subject, tape)}
    book = ledger(tape)
    before, zeroed = _weights(subject), zero_grad_matters(subject)
    losses = train_network(subject)
    output = float(network_by_hand(subject).forward["a"])
    if as_json:
        print_json(_facts(hand, ways, zeroed, losses, output))
        return
    print(STATEMENT)
    print("\n1. Forward: output = model(x)\n", *_forward(hand), sep="\n")
    print("\n2. Loss: how far the output is from the label 1\n")
    print(f"  loss = −ln a = −ln {float(hand.forward['a']):.6f} = {float(hand.forward['loss']):.6f}")
    print("\n3. Backward: loss.backward() walks from the loss to every weight\n")
    print(*(f"  {line}" for line in ledger_lines(book, title="network", width=98)[2:]), sep="\n")
    print("\n4. The gradients, by name, four ways\n", *_gradients(hand, ways), sep="\n")
    print("\n5. Update: optimizer.step() moves each weight against its gradient, w ← w − 0.01 · gradient\n")
    print(*_update(before, hand, losses), sep="\n")
    print("\nWhat zero_grad() prevents: backward() adds to .grad what it finds, it does not replace it\n")
    print(*_zeroed(zeroed), sep="\n")
    print(f"\nTrained to the end: these steps, {len(losses) - 1} times\n")
    print(f"  loss {losses[0]:.6f} {sparkline(losses, 60)} {losses[-1]:.6f}")
    print(f"  output {float(hand.forward['a']):.6f} → {output:.6f}, the label is 1")


def sparkline(numbers: Sequence[float], width: int) -> str:
    """The numbers as bars from 0 to the largest; where there are more than `width`, evenly spread ones."""
    chosen = (
        [numbers[round(i * (len(numbers) - 1) / (width - 1))] for i in range(width)]
        if len(numbers) > width
        else numbers
    )
    top = max(chosen)
    return "".join(BARS[min(len(BARS) - 1, int(number / top * len(BARS)))] for number in chosen)


def _weights(subject: "Subject") -> dict[str, Any]:
    model: Any = subject.target.__self__  # type: ignore[union-attr]
    return {name: weight.detach().clone() for name, weight in model.named_parameters()}


def _row(tensor: Any) -> str:
    return " ".join(f"{number:9.6f}" for number in tensor.flatten().tolist())


def _forward(hand: "ByHand") -> Iterator[str]:
    said = {"h": "x W₁ᵀ + b₁", "r": "max(h, 0)", "z": "r W₂ᵀ + b₂", "a": "1/(1 + e⁻ᶻ)"}
    for name, equation in said.items():
        yield f"  {name} = {equation:<12} = {_row(hand.forward[name])}"


def _gradients(hand: "ByHand", ways: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    from chainrule.lens import largest_difference

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


def _update(before: Mapping[str, Any], hand: "ByHand", losses: Sequence[float]) -> Iterator[str]:
    for name, gradient in hand.gradients.items():
        place = (0,) * gradient.dim()
        w, g = float(before[name][place]), float(gradient[place])
        yield f"  {name + str(list(place)):<20} {w:9.6f} − 0.01 · {g:9.6f} = {w - 0.01 * g:9.6f}"
    yield f"  the loss goes from {losses[0]:.6f} to {losses[1]:.6f}"


def _zeroed(found: "ZeroGrad") -> Iterator[str]:
    yield f"  first backward()                  ‖gradient‖ = {found.first:.6f}"
    yield f"  zero_grad(), then backward()      ‖gradient‖ = {found.with_zero_grad:.6f}"
    yield f"  backward() once more without it   ‖gradient‖ = {found.without:.6f}, the sum of both: a step twice as long"


def _facts(
    hand: "ByHand",
    ways: Mapping[str, Mapping[str, Any]],
    zeroed: "ZeroGrad",
    losses: Sequence[float],
    output: float,
) -> dict[str, Any]:
    from chainrule.lens import largest_difference

    return {
        "forward": {name: tensor.tolist() for name, tensor in hand.forward.items()},
        "gradients": {name: tensor.tolist() for name, tensor in hand.gradients.items()},
        "differences_from_by_hand": {
            way: largest_difference(dict(found), hand.gradients) for way, found in ways.items()
        },
        "zero_grad": {"first": zeroed.first, "with": zeroed.with_zero_grad, "without": zeroed.without},
        "losses": list(losses),
        "output": output,
    }
