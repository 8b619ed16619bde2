"""`chainrule lens rules`: the list, one rule, the page, and a name that is none."""

import json
from pathlib import Path

import pytest
from rich.cells import cell_len

from chainrule.cli import main
from chainrule.lens import find_rule, rule_book
from chainrule.lens.rules import RULES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lens" / "rules.md"


def said(capsys, *words):
    assert main(["lens", "rules", *words]) == 0
    return capsys.readouterr().out


def test_the_page_on_disk_is_what_the_rules_say(capsys):
    fresh = said(capsys, "--format", "md")
    assert PAGE.read_text(encoding="utf-8") == fresh, "docs/lens/rules.md is stale: run `make reference`"


def test_every_rule_stands_in_the_book_once():
    names = [name for entry in rule_book() for name in entry.names]
    assert sorted(names) == sorted(RULES)
    assert len(RULES) >= 120


def test_every_rule_has_its_source_and_formulas():
    for entry in rule_book():
        assert entry.source and entry.rule.formulas, entry.names
        for formula in (entry.rule.value, *entry.rule.formulas.values()):
            assert formula.text and formula.latex and "\n" not in formula.text
            assert formula.latex.isascii(), (entry.names, formula.latex)
            assert formula.latex.count("{") == formula.latex.count("}"), formula.latex


def test_the_list_fits_a_terminal_of_100_columns(capsys):
    lines = said(capsys).splitlines()
    assert any("sigmoid" in line and "y(1 − y)" in line for line in lines)
    assert max(map(cell_len, lines)) <= 100


def test_one_rule_is_shown_in_full(capsys):
    text = said(capsys, "sigmoid")
    for part in ("∂y/∂x = y(1 − y)", r"\frac{\partial y}{\partial x}", "def sigmoid", "elementary.py"):
        assert part in text


@pytest.mark.parametrize("name", ["mul", "mul.Tensor", "mul_", "aten.mul.Scalar"])
def test_a_rule_is_found_by_any_name_that_torch_has_for_it(name):
    assert find_rule(name).rule is RULES["mul"]


def test_json_has_the_formulas(capsys):
    found = json.loads(said(capsys, "tanh", "--json"))
    assert found["derivatives"]["self"] == {
        "letter": "x",
        "text": "∂y/∂x = 1 − y²",
        "latex": r"\frac{\partial y}{\partial x} = 1 - y^2",
    }
    assert len(json.loads(said(capsys, "--json"))["rules"]) == len(rule_book())


@pytest.mark.parametrize(("name", "meant"), [("softmax", "_softmax"), ("layer_norm", "native_layer_norm")])
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(capsys, name, meant):
    assert main(["lens", "rules", name]) == 2
    assert repr(meant) in capsys.readouterr().err
