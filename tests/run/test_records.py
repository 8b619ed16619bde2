"""The wire: what is written is read as it was, what is damaged is left out, and nothing stands there for nobody."""

import ast
import functools
import inspect
import json
import typing
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule
from chainrule.run import (
    RunFolder,
    Summary,
    TrainRow,
    append_row,
    last_record,
    read_asked,
    read_start,
    read_summary,
    rows_of,
)
from chainrule.run import records as module
from chainrule.run.record import Record

TYPES = sorted(
    (one for one in vars(module).values() if inspect.isclass(one) and issubclass(one, Record)),
    key=lambda one: one.__name__,
)
TYPES = [one for one in TYPES if one is not Record]
each_type = pytest.mark.parametrize("kind", TYPES, ids=lambda one: one.__name__)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
WRONG = [None, True, "1", [], {}, [1, "x", None], {"a": 1}, 1.5, float("nan"), float("inf"), 10**400]


def some(annotation) -> st.SearchStrategy:
    """Values that a field of that annotation holds."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is typing.Any:
        return st.integers() | st.text()
    if type(None) in parts:
        return st.none() | st.one_of([some(part) for part in parts if part is not type(None)])
    if origin is tuple:
        return st.lists(some(parts[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(st.text(), some(parts[1]), max_size=2)
    if parts:
        return st.one_of([some(part) for part in parts])
    if inspect.isclass(annotation) and issubclass(annotation, Record):
        return made(annotation)
    return {int: st.integers(), float: NUMBERS, str: st.text(), bool: st.booleans()}[annotation]


@functools.cache  # Hypothesis looks at each new strategy through and through
def made(kind) -> st.SearchStrategy:
    """Records of that type."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{one.name: some(hints[one.name]) for one in fields(kind)})


# All of Hypothesis' usual hundred for fifty types took a minute; a proof takes more.
examples = pytest.mark.parametrize("n_examples", [30, pytest.param(300, marks=pytest.mark.slow)])


@examples
@each_type
def test_what_is_written_as_json_is_read_as_it_was(kind, n_examples):
    @settings(max_examples=n_examples)
    @given(made(kind))
    def back(record):
        assert kind.of(json.loads(json.dumps(record.row()))) == record

    back()


@examples
@each_type
def test_what_is_of_another_kind_is_left_out_and_stops_nobody(kind, n_examples):
    @settings(max_examples=n_examples)
    @given(made(kind), st.data())
    def read(record, data):
        row = record.row() | {
            one.name: data.draw(st.sampled_from(WRONG)) for one in fields(kind) if data.draw(st.booleans())
        }
        found = kind.of(row)
        assert found is None or kind.of(found.row()) == found
        assert kind.of(data.draw(st.sampled_from(WRONG))) in (None, kind.of({}))

    read()


@functools.cache  # to read the package takes a second
def attributes() -> set[str]:
    """Names that the package reads as attributes, or by getattr with a name that stands somewhere as a word."""
    found = set[str]()
    package = Path(chainrule.__file__).parent
    for path in package.rglob("*.py"):
        if path.name == "records.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                found.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


# Written for people and programs that read the files and --json; no part of the package shows them.
FOR_OTHERS = {
    "train_loss", "best", "python_version", "of_tokens", "stretches", "read_documents", "unreadable", "version", "cut",
    "texts", "words", "word_list", "validation_tokens", "n_tokens", "nats", "perplexity", "score", "applied",
    "report_seconds", "bundle", "ratio_max", "gradient_max", "split_documents",
}  # fmt: skip


@each_type
def test_every_field_is_read_by_somebody(kind):
    read = attributes()
    assert [one.name for one in fields(kind) if one.name not in read | FOR_OTHERS] == []


def test_rows_of_another_type_and_torn_ones_are_passed_over(tmp_path):
    path = tmp_path / "metrics.jsonl"
    append_row(path, TrainRow(1, loss=2.0).row())
    append_row(path, {"kind": "eval", "step": 1})
    append_row(path, {"kind": "train", "loss": 3.0})
    append_row(path, TrainRow(2, loss=float("nan")).row())
    with path.open("a") as file:
        file.write('{"kind": "train", "step": 3, "lo')
    assert [row.step for row in rows_of(path, TrainRow)] == [1, 2]
    assert last_record(path, TrainRow) == TrainRow(2)
    assert list(rows_of(tmp_path / "absent.jsonl", TrainRow)) == []


def test_a_summary_that_is_not_there_or_torn_is_empty(tmp_path):
    run = RunFolder(tmp_path)
    assert read_summary(run) == Summary()
    run.summary.write_text('{"status": "fin')
    assert read_summary(run) == Summary()


ASKED = {"minutes": 2.5, "layers": [{"source": "flag", "values": {"model": {"n_layers": 2}, "origin": {"from": None}}}]}


def test_what_a_start_was_asked_for_is_known_whole_or_not_at_all(tmp_path):
    run = RunFolder(tmp_path)
    assert read_asked(run) is None
    for asked in (ASKED, {**ASKED, "minutes": None}, {**ASKED, "tokenizer": 3}):
        run.machine.write_text(json.dumps(asked))
        assert read_asked(run).minutes == asked["minutes"]
        assert [(one.source, one.values) for one in read_asked(run).layers] == [("flag", ASKED["layers"][0]["values"])]
    layer = ASKED["layers"][0]
    for damaged in (
        *({"minutes": "x"}, {"layers": None}, {"layers": [layer, 3]}, {"layers": [layer, None]}),
        *({"layers": [{**layer, "source": 1}]}, {"layers": [{**layer, "values": {"model": None, "text": {}}}]}),
    ):
        run.machine.write_text(json.dumps({**ASKED, **damaged}))
        assert read_asked(run) is None


def test_a_damaged_part_of_machine_json_leaves_the_others(tmp_path):
    run = RunFolder(tmp_path)
    costs = {"step": 1.0, "look": "x", "samples": 2.0, "save": 0.0}
    run.machine.write_text(json.dumps({"plan": 3, "budget": {"spent": 1.0, "costs": costs}, "before": [1]}))
    found = read_start(run)
    assert found.plan is None and found.before is None and found.budget.costs.samples == 2.0
    run.machine.write_text(json.dumps({"plan": {"steps": 4}, "budget": {"spent": 1.0, "costs": {"look": 1.0}}}))
    assert read_start(run).plan.steps == 4 and read_start(run).budget is None
