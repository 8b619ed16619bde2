"""What docs/ARCHITECTURE.md promises to whoever adds to the lens, tried on a copy of the package."""

import pytest
from adding import Copy

CHAPTER = '''"""Rules of what measures information: entropy."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import unary
from chainrule.lens.rules.rule import Rule


def entropy(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = −x ln x`. At 0 the gradient is infinite."""
    return -g * (torch.log(x) + 1)


INFORMATION: dict[str, Rule] = {
    "mine.entropy": unary(entropy, ("−x ln x", r"-x \\ln x"), ("−ln x − 1", r"-\\ln x - 1"), "x"),
}
'''

INSTRUMENT = '''"""How often each operation is called."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.lens.tape import Tape


@dataclass(frozen=True)
class Census:
    """The operations of a recording, and how many there are of each."""

    counts: dict[str, int]


def census(tape: Tape) -> Census:
    """Counts the operations of a recording."""
    return Census(dict(Counter(node.op for node in tape.nodes)))


def census_lines(found: Census) -> Iterator[str]:
    """A line for each."""
    yield from (f"{op}: {count}" for op, count in found.counts.items())


def census_facts(found: Census) -> dict[str, int]:
    """The same for JSON."""
    return found.counts
'''


@pytest.fixture
def copy(tmp_path):
    return Copy.below(tmp_path)


USES_THE_RULE = """
import torch
from chainrule import lens


@torch.library.custom_op("mine::entropy", mutates_args=())
def entropy(x: torch.Tensor) -> torch.Tensor:
    return -x * x.log()


entropy.register_autograd(
    lambda ctx, g: -g * (ctx.saved_tensors[0].log() + 1),
    setup_context=lambda ctx, inputs, output: ctx.save_for_backward(inputs[0]),
)
w = torch.tensor([0.2, 0.5, 0.3], requires_grad=True)
report = lens.verify(lambda w: entropy(w).sum(), w, coordinates=3)
assert report.ok and not report.not_independent
print(lens.render(lens.find_rule("mine.entropy")))
print(lens.render(lens.ledger(lens.record(lambda w: entropy(w).sum(), w))))
assert "Information" in lens.render(lens.rule_book(), "md")
"""


def test_a_rule_is_a_function_with_its_formula_and_a_chapter_one_line(copy):
    copy.write("lens/rules/information.py", CHAPTER)
    copy.change(
        "lens/rules/primitives.py",
        "from chainrule.lens.rules.losses",
        "from chainrule.lens.rules.information import INFORMATION\nfrom chainrule.lens.rules.losses",
    )
    copy.change("lens/rules/primitives.py", '"Losses": LOSSES,', '"Information": INFORMATION,\n    "Losses": LOSSES,')
    assert copy.touched == {"lens/rules/information.py", "lens/rules/primitives.py"}
    out = copy.run(USES_THE_RULE)
    assert "mine.entropy   (Information, chainrule/lens/rules/information.py)" in out
    assert "y = −x ln x" in out and "∂y/∂x = −ln x − 1" in out


USES_THE_INSTRUMENT = """
import json
from chainrule import lens
from chainrule.lens.tape.census import census

found = census(lens.network().record())
print(lens.render(found))
assert json.loads(lens.render(found, "json"))["relu.default"] == 1
assert lens.formats_of(found) == ("text", "json")
lens.save(found, "census.json")
"""


def test_an_instrument_is_a_file_and_an_entry_in_the_table_of_renderers(copy):
    copy.write("lens/tape/census.py", INSTRUMENT)
    copy.change(
        "lens/renderers/table.py",
        "from chainrule.lens.tensors",
        "from chainrule.lens.tape.census import Census, census_facts, census_lines\nfrom chainrule.lens.tensors",
    )
    entry = 'Census: {"text": joined(census_lines), "json": figures(census_facts)},'
    copy.change("lens/renderers/table.py", 'Sharing: {"text"', f'{entry}\n    Sharing: {{"text"')
    assert copy.touched == {"lens/tape/census.py", "lens/renderers/table.py"}
    assert "relu.default: 1\n" in copy.run(USES_THE_INSTRUMENT)
    assert (copy.folder / "census.json").is_file()
