"""A run folder that was written before its rows had types (November 2026) is read whole."""

import json
import shutil
from pathlib import Path

import pytest

from chainrule.report import write_report
from chainrule.run import (
    EvalRow,
    Event,
    RunFolder,
    Sample,
    Summary,
    TrainRow,
    read_facts,
    read_manifest,
    read_rows,
    read_start,
    read_summary,
)
from chainrule.run.health_record import KINDS

OLD = RunFolder(Path(__file__).with_name("run_of_november_2026"))


def missing(row, found, place=""):
    """The places of what stands in `row` and not in `found`; null is as good as absent."""
    if isinstance(row, dict):
        found = found if isinstance(found, dict) else {}
        return [one for name, value in row.items() for one in missing(value, found.get(name), f"{place}.{name}")]
    if isinstance(row, list) and isinstance(found, list | tuple) and len(row) == len(found):
        pairs = enumerate(zip(row, found, strict=True))
        return [one for number, (value, other) in pairs for one in missing(value, other, f"{place}[{number}]")]
    return [] if row is None or row == found else [place]


@pytest.mark.parametrize(
    ("path", "types"),
    [
        (OLD.metrics, {"train": TrainRow, "eval": EvalRow}),
        (OLD.health, KINDS),
        (OLD.samples, {None: Sample}),
        (OLD.events, {None: Event}),
    ],
)
def test_every_row_is_read_whole(path, types):
    rows = list(read_rows(path))
    assert rows
    for row in rows:
        assert missing(row, types[row.get("kind")].of(row).row()) == []


def test_its_summary_is_read_whole():
    written = json.loads(OLD.summary.read_text(encoding="utf-8"))
    assert missing(written, read_summary(OLD).row()) == []
    assert read_summary(OLD) != Summary()


def test_what_machine_json_and_the_manifest_say_is_found():
    facts, written = read_facts(OLD), json.loads(OLD.machine.read_text(encoding="utf-8"))
    assert missing(written, json.loads(json.dumps(read_start(OLD).row()))) == []
    for name in ("machine", "plan", "tokenizer", "data"):
        assert getattr(facts, name) == getattr(read_start(OLD), name)
    written = json.loads(OLD.manifest.read_text(encoding="utf-8"))["report"]
    assert missing(written, json.loads(json.dumps(read_manifest(OLD).report.row()))) == []
    assert facts.data.documents == 40 and set(facts.data.sources) and facts.manifest.vocab_size == 257


def test_its_report_is_written_with_its_figures(tmp_path):
    shutil.copytree(OLD.path, tmp_path / "run")
    page = write_report(RunFolder(tmp_path / "run")).read_text(encoding="utf-8")
    assert "7.798" in page and "counting pairs of tokens" in page


def test_what_it_said_of_functions_is_a_task():
    before = {"python": {"functions": 48, "parsed": 22, "share": 22 / 48, "version": "3.11.7"}}
    (result,) = Summary.of(before).tasks
    assert (result.task, result.n, result.right, result.version) == ("python-functions", 48, 22, "3.11.7")
    assert Summary.of({"python": {"functions": "x"}}).tasks == () == Summary.of({"python": None}).tasks
