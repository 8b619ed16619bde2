"""Which .json files hold texts in lists, in a folder and named."""

import json

import pytest

from chainrule.config import TextConfig
from chainrule.data import all_documents

LONG = "A sentence that is long enough to be a text. " * 6


def documents(path, **settings):
    told = []
    parts = all_documents(TextConfig(paths=(str(path),), **settings), told.append)
    return [part.content.decode() for part in parts if not part.bad], told


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([{"text": LONG}, {"text": "b"}], [LONG, "b"]),
        ([LONG, LONG + "b"], [LONG, LONG + "b"]),
        ({"version": "1", "data": [{"text": LONG}, {"text": "b"}]}, [LONG, "b"]),
        ({"names": ["a", "b"], "texts": [LONG, "short"]}, [LONG, "short"]),
    ],
    ids=["rows", "strings", "rows in an object", "strings in an object"],
)
def test_lists_of_rows_and_of_texts_are_read(workshop, content, expected):
    workshop.write("a.json", json.dumps(content))
    workshop.write("b.txt", "beside")
    found, _ = documents(workshop.texts)
    assert found == [*expected, "beside"]


@pytest.mark.parametrize(
    "content", [["a", "b"], [1, 2], {"files": ["a.js", "b.js"]}, {"items": [{"name": "x"}]}, [], "x"]
)
def test_settings_are_not(workshop, content):
    workshop.write("a.json", json.dumps(content))
    workshop.write("b.txt", "beside")
    assert documents(workshop.texts)[0] == ["beside"]


def test_a_row_inside_that_is_none_costs_itself_alone(workshop):
    workshop.write("a.json", json.dumps({"data": [{"text": LONG}, 7, {"other": 1}, {"text": "c"}]}))
    found, told = documents(workshop.texts, on_bad="skip")
    assert found == [LONG, "c"]
    assert "value 1, row 2: a JSON int" in told[0] and "value 1, row 3: no field 'text'" in told[1]
