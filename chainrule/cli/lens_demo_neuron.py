"""`chainrule lens demo neuron`: one neuron's gradients by hand, by the rules, by autograd, by numbers and by SymPy."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from chainrule.cli.lens_page import Page, PageFormat, page_wanted, write_page
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, say

if TYPE_CHECKING:
    from chainrule.cli.lens_symbols import Derivative
    from chainrule.lens import HandLine

STATEMENT = """One neuron: a = sigmoid(x·w + b), its loss the binary cross-entropy against the label y.
w = 2.2, b = 0, x = 1.1, y = 1. How does the loss change when w or b grows a little?"""


def neuron(*, out: Page = None, as_format: PageFormat = None, as_json: AsJson = False) -> None:
    """Find the two gradients of one neuron five ways: by hand, by our rules, by autograd, by numbers and by SymPy.

    For example:

    - `chainrule lens demo neuron`
    - `chainrule lens demo neuron --out neuron.html`
    """
    from chainrule.lens import by_autograd, by_numbers, by_rules, ledger, ledger_lines, neuron_by_hand
    from chainrule.lens import neuron as subject_of

    subject = subject_of()
    if page_wanted(out, as_format, as_json):
        write_page(subject, out, as_format)
        return
    tape = subject.record()
    hand = neuron_by_hand()
    ways = {
        "by hand": {"w": hand[-2].result, "b": hand[-1].result},
        "by the rules": _numbers(by_rules(tape)),
        "by autograd": _numbers(by_autograd(tape)),
        "by numbers": _numbers(by_numbers(subject, tape)),
    }
    if not as_json:
        print(STATEMENT)
        print("\nBy hand, forward:\n", *_pencil(hand[:4]), sep="\n")
        print("\nBy hand, backward, from the loss to the weights:\n", *_pencil(hand[4:]), sep="\n")
        print("\nAs the lens writes it down (incoming gradient × local derivative = outgoing gradient):\n")
        print(*ledger_lines(ledger(tape), title="neuron")[2:], sep="\n")
        print("\nFive ways to the two gradients:\n", *_table(ways), sep="\n", flush=True)
    started = time.perf_counter()
    from chainrule.cli.lens_symbols import neuron_by_symbols

    symbols = neuron_by_symbols(hand[2].result)
    if as_json:
        print_json({"ways": ways, "sympy": {one.by: _facts(one, ways["by the rules"][one.by]) for one in symbols}})
        return
    print(*_symbols(symbols, ways["by the rules"]), sep="\n")
    say(f"(SymPy took {time.perf_counter() - started:.1f} s, most of it its import)")


def _numbers(gradients: Any) -> dict[str, float]:
    return {name: float(gradients[name]) for name in ("w", "b")}


def _pencil(lines: Sequence["HandLine"]) -> Iterator[str]:
    """The equation, the numbers in it, and the result, one below the other."""
    names, equations, numbers = (
        max(len(getattr(one, key)) for one in lines) for key in ("name", "equation", "numbers")
    )
    for one in lines:
        yield f"  {one.name:<{names}} = {one.equation:<{equations}} = {one.numbers:<{numbers}} = {one.result:.6f}"


def _table(ways: dict[str, dict[str, float]]) -> Iterator[str]:
    yield f"  {'':<13} {'∂loss/∂w':<33} ∂loss/∂b"
    for way, found in ways.items():
        yield f"  {way:<13} {found['w']!r:<33} {found['b']!r}"


def _symbols(symbols: Sequence["Derivative"], rules: dict[str, float]) -> Iterator[str]:
    """SymPy's line of the table, then what the last digits say."""
    by_w, by_b = symbols
    yield f"  {'by SymPy':<13} {by_w.digits:<33} {by_b.digits}"
    yield ""
    yield f"SymPy's formulas: ∂loss/∂w = {by_w.expression}, ∂loss/∂b = {by_b.expression}."
    yield "The rules against SymPy, in units of the last place of a float64 (ulp):"
    for title, key in (("from a as the machine has it", "at_activation"), ("from the decimal numbers", "exact")):
        distances = ", ".join(f"∂loss/∂{one.by} {_ulps(one, rules[one.by], key):.1f}" for one in symbols)
        yield f"  {title:<29} {distances}"
    yield "The machine rounds a = 0.918… to 53 bits. a − y is then exact, and 11 times smaller than a: half an"
    yield "ulp of a is 4 ulps there. What starts from the rounded a cannot do better, and autograd does not."


def _facts(one: "Derivative", found: float) -> dict[str, Any]:
    distances = {f"ulps_{key}": _ulps(one, found, key) for key in ("at_activation", "exact")}
    return {"expression": one.expression, "digits": one.digits, **distances}


def _ulps(one: "Derivative", found: float, key: str) -> float:
    from chainrule.lens import ulps

    return ulps(found, getattr(one, key))
