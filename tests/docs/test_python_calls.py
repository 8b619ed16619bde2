"""README says which public call does each verb's work: the call is there, and the verb makes it."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from chainrule.cli.verbs import VERBS

HERE = Path(__file__).resolve().parents[2]
TABLE = (HERE / "README.md").read_text(encoding="utf-8").partition("| `chainrule …` |")[2].partition("\n\n")[0]
ROWS = [row.split("|")[1:3] for row in TABLE.splitlines()[2:]]
CALLS = {verb: re.findall(r"`(\w+)\.(\w+)`", calls) for verbs, calls in ROWS for verb in re.findall(r"`(\w+)`", verbs)}
INNER = {path.parent.name: path.parent.parent.name for path in (HERE / "chainrule").glob("*/*/__init__.py")}


def imported_by(verb: str) -> set[tuple[str, str]]:
    """(room, name) of what the verb's own files take of other rooms, and those files of `cli` that they import.

    A room may be imported whole, and its names asked of it: `lens.verify(…)`, also an inner one: `prove.verify(…)`.
    """
    waiting, seen, found = {*(HERE / "chainrule" / "cli").glob(f"{verb}*.py")}, set(), set()
    while waiting:
        path = waiting.pop()
        seen.add(path)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        whole = {
            alias.asname: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "chainrule"
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                name = whole.get(node.value.id, node.value.id)
                found |= {(name, node.attr), (INNER.get(name, ""), node.attr)}
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("chainrule."):
                continue
            room, *inside = node.module.split(".")[1:]
            if room == "cli" and inside:
                waiting |= {path.with_name(f"{inside[0]}.py")} - seen
            found |= {(room, alias.name) for alias in node.names}
    return found


def test_every_verb_has_its_calls():
    assert set(CALLS) == set(VERBS) and all(CALLS.values())


@pytest.mark.parametrize("verb", VERBS)
def test_the_verb_makes_calls_that_are_public(verb):
    made = imported_by(verb)
    for room, name in CALLS[verb]:
        door = importlib.import_module(f"chainrule.{INNER[room]}.{room}" if room in INNER else f"chainrule.{room}")
        assert callable(getattr(door, name)) and name in door.__all__, f"chainrule.{room} gives no {name}"
        assert (room, name) in made, f"chainrule {verb} does not import {name} of {room}"
