"""What `make house` counts, where it is a law; and that it would count a breach."""

import ast
import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def house():
    spec = importlib.util.spec_from_file_location("measure_house", DOCS / "measure_house.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_front_door_lists_what_somebody_outside_takes(house):
    assert house.unused() == []


def test_no_module_hides_behind_a_name_of_its_front_door(house):
    assert house.shadowed() == []


def test_booleans_are_given_by_name(house):
    assert house.parameters().startswith("0;")


def test_no_room_but_that_of_the_run_folder_asks_a_row_by_a_string(house):
    assert house.row_keys() == 0


def test_no_room_is_a_fifth_of_the_house(house):
    assert int(house.largest_room().partition("%")[0]) <= 20


def test_a_breach_is_counted(house, tmp_path, monkeypatch):
    room = tmp_path / "chainrule" / "room"
    room.mkdir(parents=True)
    (room / "__init__.py").write_text("from chainrule.room.thing import thing\n\n__all__ = ['thing']\n")
    (room / "thing.py").write_text("def thing(loud: bool, a, b, c, d, e, f, g) -> None:\n    import os\n")
    monkeypatch.setattr(house, "PACKAGE", tmp_path / "chainrule")
    assert house.shadowed() == ["room.thing"]
    assert house.unused() == ["room.thing"]
    assert house.parameters() == "1; 1"
    assert house.deferred() == "0 / 1"


def test_every_measure_has_a_figure(house):
    measures = house.measures()
    rows = dict(measures)
    assert len(rows) == len(measures) and all(any(c.isdigit() for c in value) for value in rows.values())
    assert ast.literal_eval(rows["functions in cli that Python cannot reach"]) < 20
