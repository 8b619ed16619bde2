"""The neuron told five ways: by hand, by the rules, by autograd, by numbers, and by SymPy, which answers last."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from chainrule.base import LensError
from chainrule.lens.classics.neuron_steps import HandLine, neuron_by_hand, ulps
from chainrule.lens.classics.programs import NEURON, neuron
from chainrule.lens.classics.ways import by_autograd, by_numbers, by_rules
from chainrule.lens.ledgers import ledger, ledger_lines
from chainrule.lens.tape import Tape

SYMBOLS = Path(__file__).with_name("symbols.py")
STATEMENT = """One neuron: a = sigmoid(x·w + b), its loss the binary cross-entropy against the label y.
w = 2.2, b = 0, x = 1.1, y = 1. How does the loss change when w or b grows a little?"""


@dataclass(frozen=True)
class Derivative:
    """The derivative of the loss by `by`, as SymPy found it.

    `expression` is SymPy's, in a = sigmoid(z). `digits` is the value for the decimal numbers 2.2, 0, 1.1 and 1,
    `exact` the same with twice the digits, and `at_activation` the exact value at the `a` that was given.
    """

    by: str
    expression: str
    digits: str
    exact: Fraction
    at_activation: Fraction


@dataclass(frozen=True)
class NeuronDemo:
    """The two gradients by four ways, and SymPy's derivatives by w and b."""

    hand: tuple[HandLine, ...]
    tape: Tape
    ways: dict[str, dict[str, float]]
    symbols: tuple[Derivative, ...]


def neuron_demo(sympy: "subprocess.Popen[str] | None" = None) -> NeuronDemo:
    """The gradients of the neuron, five ways.

    SymPy works in a process of its own meanwhile, and answers last. Who has started it already (it imports itself while
    torch is imported: see classics/symbols.py) hands it over as `sympy`. Raises LensError when it fails.
    """
    process = begin() if sympy is None else sympy
    with process:
        hand = neuron_by_hand()
        ask(process, {"neuron": NEURON, "activation": hand[2].result})
        subject = neuron()
        tape = subject.record()
        ways = {
            "by hand": {"w": hand[-2].result, "b": hand[-1].result},
            "by the rules": _numbers(by_rules(tape)),
            "by autograd": _numbers(by_autograd(tape)),
            "by numbers": _numbers(by_numbers(subject, tape)),
        }
        return NeuronDemo(hand, tape, ways, answer(process))


def neuron_lines(demo: NeuronDemo) -> Iterator[str]:
    """The way by hand, the ledger, and the table of the five ways."""
    yield from (STATEMENT, "\nBy hand, forward:\n", *_pencil(demo.hand[:4]))
    yield from ("\nBy hand, backward, from the loss to the weights:\n", *_pencil(demo.hand[4:]))
    yield "\nAs the lens writes it down (incoming gradient × local derivative = outgoing gradient):\n"
    yield from ledger_lines(ledger(demo.tape), title="neuron")[2:]
    yield from ("\nFive ways to the two gradients:\n", *_table(demo.ways))
    yield from _symbols(demo.symbols, demo.ways["by the rules"])


def neuron_facts(demo: NeuronDemo) -> dict[str, Any]:
    """All of it for JSON."""
    rules = demo.ways["by the rules"]
    return {"ways": demo.ways, "sympy": {one.by: _facts(one, rules[one.by]) for one in demo.symbols}}


def begin(symbols: Path = SYMBOLS) -> "subprocess.Popen[str]":
    """SymPy's process, waiting for its question."""
    words = [sys.executable, "-P", str(symbols)]  # -P: SymPy's imports are not looked for beside the file
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")  # noqa: S603


def ask(sympy: "subprocess.Popen[str]", request: dict[str, Any]) -> None:
    """Hands SymPy's process its question; it works on it from now on."""
    assert sympy.stdin is not None, "it was started with a pipe"
    with suppress(BrokenPipeError):  # it has died, which is told when its answer is read
        sympy.stdin.write(json.dumps(request) + "\n")
        sympy.stdin.flush()


def answer(sympy: "subprocess.Popen[str]") -> tuple[Derivative, ...]:
    """SymPy's derivatives by w and b; raises LensError when its process failed."""
    answer, _ = sympy.communicate()
    if sympy.returncode:
        raise LensError("SymPy could not be run, for the reason above; see `python -c 'import sympy'`")
    return tuple(
        Derivative(one["by"], one["expression"], one["digits"], Fraction(one["exact"]), Fraction(one["at_activation"]))
        for one in json.loads(answer)
    )


def _numbers(gradients: Any) -> dict[str, float]:
    return {name: float(gradients[name]) for name in ("w", "b")}


def _pencil(lines: Sequence[HandLine]) -> Iterator[str]:
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


def _symbols(symbols: Sequence[Derivative], rules: dict[str, float]) -> Iterator[str]:
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


def _facts(one: Derivative, found: float) -> dict[str, Any]:
    distances = {f"ulps_{key}": _ulps(one, found, key) for key in ("at_activation", "exact")}
    return {"expression": one.expression, "digits": one.digits, **distances}


def _ulps(one: Derivative, found: float, key: str) -> float:
    return ulps(found, getattr(one, key))
