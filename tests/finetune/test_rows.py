"""Rows of every usual shape are recognised, and one of none is named with its line."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from chainrule.base import ConfigError, DataError
from chainrule.finetune.rows import Plain, Preferred, Rated, Talk, read_rows

USER, ASSISTANT = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}
SHAPED: list[tuple[str, dict[str, Any], Any]] = [
    ("messages", {"messages": [SYSTEM, USER, ASSISTANT]}, Talk((SYSTEM, USER, ASSISTANT))),
    (
        "messages",
        {"messages": [{**USER, "content": [{"type": "text", "text": "Hi"}]}, ASSISTANT]},
        Talk((USER, ASSISTANT)),
    ),
    ("completion", {"prompt": "Hi", "completion": "Hello"}, Talk((USER, ASSISTANT))),
    ("completion", {"prompt": [SYSTEM, USER], "completion": [ASSISTANT]}, Talk((SYSTEM, USER, ASSISTANT))),
    ("alpaca", {"instruction": "Hi", "input": "", "output": "Hello"}, Talk((USER, ASSISTANT))),
    (
        "alpaca",
        {"instruction": "Add", "input": "1 2", "output": "3"},
        Talk(({"role": "user", "content": "Add\n\n1 2"}, {"role": "assistant", "content": "3"})),
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        Talk((USER, ASSISTANT)),
    ),
    ("labelled", {"text": "Hi", "label": "Hello"}, Talk((USER, ASSISTANT))),
    ("labelled", {"text": "Hi", "label": 1}, Talk((USER, {"role": "assistant", "content": "1"}))),
    ("plain", {"text": "Once"}, Plain("Once")),
    ("preferred", {"prompt": "Hi", "chosen": "Hello", "rejected": "Go"}, Preferred((USER,), "Hello", "Go")),
    (
        "preferred",
        {"chosen": [USER, ASSISTANT], "rejected": [USER, {"role": "assistant", "content": "Go"}]},
        Preferred((USER,), "Hello", "Go"),
    ),
    ("rated", {"prompt": "Hi", "completion": "Hello", "label": True}, Rated((USER,), "Hello", True)),
]


def bare(example: Any) -> Any:
    return type(example)(**{**example.__dict__, "place": ""})


@pytest.mark.parametrize(("shape", "row", "expected"), SHAPED)
def test_each_shape_is_recognised(
    rows_file: Callable[..., Path], shape: str, row: dict[str, Any], expected: Any
) -> None:
    rows = read_rows([str(rows_file(row))])
    assert dict(rows.shapes) == {shape: 1}
    assert bare(rows.examples[0]) == expected
    assert rows.examples[0].place.endswith("rows.jsonl:1")


def test_tables_and_compressed_files_give_the_same_examples(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n}", "completion": f"a{n}"} for n in range(3)]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    (tmp_path / "b.csv").write_text("prompt,completion\n" + "".join(f"q{n},a{n}\n" for n in range(3)))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "c.parquet")
    with gzip.open(tmp_path / "d.jsonl.gz", "wt") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in rows))
    found = [[bare(one) for one in read_rows([str(path)]).examples] for path in sorted(tmp_path.iterdir())]
    assert len(found) == 4
    assert all(one == found[0] for one in found)


def test_columns_are_mapped(rows_file: Callable[..., Path]) -> None:
    path = rows_file({"question": "Hi", "reply": "Hello"})
    with pytest.raises(DataError, match=r"rows.jsonl:1: has the columns 'question', 'reply'"):
        read_rows([str(path)])
    rows = read_rows([str(path)], {"prompt": "question", "completion": "reply"})
    assert bare(rows.examples[0]) == Talk((USER, ASSISTANT))
    with pytest.raises(ConfigError, match="no column 'answer' to map to"):
        read_rows([str(path)], {"answer": "reply"})


BAD: list[tuple[dict[str, Any], str]] = [
    ({"prompt": "Hi", "completion": " "}, "message 2, the assistant's, is empty"),
    ({"prompt": "", "completion": "Hello"}, "message 1, the user's, is empty"),
    ({"text": " \n"}, "its text is empty"),
    ({"messages": [USER]}, "has no turn of the assistant"),
    ({"messages": [USER, USER, ASSISTANT]}, "out of order"),
    ({"messages": [ASSISTANT, USER]}, "out of order"),
    ({"messages": [USER, ASSISTANT, USER]}, "ends with the user"),
    ({"messages": [{"role": "tool", "content": "x"}, ASSISTANT]}, "role 'tool' is unknown"),
    ({"messages": [USER, {**ASSISTANT, "tool_calls": [1]}]}, "has tool_calls"),
    ({"messages": "Hi"}, "messages are a list"),
    ({"conversations": [{"from": "martian", "value": "x"}]}, "'martian'"),
    ({"prompt": 3, "completion": "x"}, "a value of type int"),
    ({}, "has the columns none"),
]


@pytest.mark.parametrize(("row", "message"), BAD)
def test_a_row_that_teaches_nothing_is_named_with_its_line(
    rows_file: Callable[..., Path], row: dict[str, Any], message: str
) -> None:
    good = {"prompt": "Hi", "completion": "Hello"}
    path = rows_file(good, row)
    with pytest.raises(DataError, match="rows.jsonl:2.*" + message):
        read_rows([str(path)])
    rows = read_rows([str(path)], skip=True)
    assert (len(rows.examples), len(rows.faults)) == (1, 1)


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "Hi", "completion": "Hello"}\n{"prompt"\n')
    with pytest.raises(DataError, match=r"x\.jsonl:2"):
        read_rows([str(path)])


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n")
    with pytest.raises(DataError):
        read_rows([str(tmp_path / "x.jsonl")])
