"""What docs/ARCHITECTURE.md promises to whoever adds to the lens, tried on a copy of the package."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "chainrule"

CHAPTER = '''"""Rules of what measures information: entropy."""

import torch
from torch import Tensor

from chainrule.lens.rules.notation import unary
from chainrule.lens.rules.rule import Rule


def entr(g: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """`y = −x ln x`. At 0 the gradient is infinite."""
    return -g * (torch.log(x) + 1)


INFORMATION: dict[str, Rule] = {
    "special_entr": unary(entr, ("−x ln x", r"-x \\ln x"), ("−ln x − 1", r"-\\ln x - 1")),
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
    """The lens in a copy of the package, to which a test adds."""
    shutil.copytree(PACKAGE, tmp_path / "chainrule", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "chainrule" / "lens"


def one_line_more(path, before, line):
    content = path.read_text(encoding="utf-8")
    assert content.count(before) == 1
    path.write_text(content.replace(before, f"{line}\n{before}"), encoding="utf-8")


def run(copy, code):
    """What Python prints that has the copy for the package."""
    place = {**os.environ, "PYTHONPATH": str(copy.parents[1])}
    asked = subprocess.run([sys.executable, "-c", code], env=place, cwd=copy.parents[1], capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    return asked.stdout


USES_THE_RULE = """
import torch
from chainrule import lens

w = torch.tensor([0.2, 0.5, 0.3], requires_grad=True)
report = lens.verify(lambda w: torch.special.entr(w).sum(), w, coordinates=3)
assert report.ok and not report.not_independent
print(lens.render(lens.find_rule("special_entr")))
print(lens.render(lens.ledger(lens.record(lambda w: torch.special.entr(w).sum(), w))))
assert "Information" in lens.render(lens.rule_book(), "md")
"""


def test_a_rule_is_a_function_with_its_formula_and_a_chapter_one_line(copy):
    (copy / "rules" / "information.py").write_text(CHAPTER, encoding="utf-8")
    table = copy / "rules" / "table.py"
    one_line_more(table, "from chainrule.lens.rules.losses", "from chainrule.lens.rules.information import INFORMATION")
    one_line_more(table, '    "Losses": LOSSES,', '    "Information": INFORMATION,')
    out = run(copy, USES_THE_RULE)
    assert "special_entr   (Information, chainrule/lens/rules/information.py)" in out
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
    (copy / "tape" / "census.py").write_text(INSTRUMENT, encoding="utf-8")
    table = copy / "renderers" / "table.py"
    one_line_more(
        table,
        "from chainrule.lens.tensors import (",
        "from chainrule.lens.tape.census import Census, census_facts, census_lines",
    )
    entry = '    Census: {"text": joined(census_lines), "json": figures(census_facts)},'
    one_line_more(table, '    Sharing: {"text": Sharing.text},', entry)
    assert "relu.default: 1\n" in run(copy, USES_THE_INSTRUMENT)
    assert (copy.parents[1] / "census.json").is_file()
