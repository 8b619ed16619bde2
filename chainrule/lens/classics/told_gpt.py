"""A GPT told: every module in the ledger, one weight followed from the loss, and the proof of all gradients."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chainrule.lens.ledgers import CoordinatePath, Ledger, ledger, ledger_facts, ledger_lines, path_lines
from chainrule.lens.prove import Report, proof_facts, verify
from chainrule.lens.tape import Subject, Tape

WEIGHT = "blocks.0.attention.qkv"


@dataclass(frozen=True)
class GptDemo:
    """The ledger of a GPT, the element of a weight that was followed in it, and the proof."""

    name: str
    book: Ledger
    path: CoordinatePath
    report: Report


def gpt_demo(subject: Subject, tape: Tape, weight: str = WEIGHT) -> GptDemo:
    """Writes the ledger of the recorded `subject`, follows the largest element of `weight`, and verifies all."""
    book = ledger(tape, coordinate=(weight, None), stats=False)
    assert book.coordinate is not None
    return GptDemo(subject.name, book, book.coordinate, verify(subject))


def gpt_lines(demo: GptDemo) -> Iterator[str]:
    """The three parts, one below the other."""
    yield from ("1. The chain rule, module by module, from the loss back\n", *ledger_lines(demo.book, title=demo.name))
    yield "\n2. One weight, from the loss: what is multiplied and added to make its gradient\n"
    yield from path_lines(demo.path)
    yield "\n3. The proof: our rules, autograd and differences of the loss, in float64\n"
    yield f"  {demo.report.summary}"


def gpt_facts(demo: GptDemo) -> dict[str, Any]:
    """All of it for JSON."""
    return {"ledger": ledger_facts(demo.book), "verify": proof_facts(demo.report)}
