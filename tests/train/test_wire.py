"""What a real run writes is what the records say: no key that nobody reads, and every record as it was written."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from chainrule.run import (
    EvalRow,
    Event,
    Facts,
    InsideRow,
    LayersRow,
    NormsRow,
    Record,
    RunFolder,
    Sample,
    SpikeRow,
    StartRecord,
    Summary,
    TrainRow,
    read_facts,
    read_rows,
    read_start,
)
from chainrule.train import pretrain


@pytest.fixture(scope="module")
def straight(layers, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wire") / "straight"
    pretrain(layers(training={"health_every": 4}), folder)
    return folder


JOURNALS: dict[str, tuple[type[Record], ...]] = {
    "metrics": (TrainRow, EvalRow),
    "samples": (Sample,),
    "events": (Event,),
    "health": (LayersRow, NormsRow, InsideRow, SpikeRow),
}


def as_json(record: Record) -> dict:
    return json.loads(json.dumps(record.row()))


@pytest.mark.parametrize("name", JOURNALS)
def test_every_row_of_a_run_is_a_record_and_nothing_else(straight, name):
    kinds = {kind.KIND: kind for kind in JOURNALS[name]}
    rows = list(read_rows(getattr(RunFolder(straight), name)))
    assert rows
    for row in rows:
        kind = kinds[row.get("kind", "")]
        known = {key: value for key, value in row.items() if value is not None}
        assert set(row) - {"kind"} <= {one.name for one in fields(kind)}
        assert {key: value for key, value in as_json(kind.of(row)).items() if value is not None} == known


def test_the_summary_in_the_folder_is_the_one_that_was_given_back(straight):
    written = json.loads((straight / "summary.json").read_text())
    assert as_json(Summary.of(written)) == written


def test_machine_json_is_the_record_of_the_start_and_nothing_else(straight):
    written = json.loads((straight / "machine.json").read_text())
    assert as_json(read_start(RunFolder(straight))) == written
    assert set(written) == {one.name for one in fields(StartRecord)} - {"minutes", "before"}
    assert as_json(StartRecord.of(written).plan) == written["plan"]


def test_of_a_finished_run_every_part_is_known(straight):
    facts = read_facts(RunFolder(straight))
    empty = Facts(RunFolder(Path("nowhere")), "")
    # What was taught and answered is known of a fine-tuning (tests/finetune/test_forgetting.py), lineage of a fork.
    for name in {one.name for one in fields(Facts)} - {"tuning", "examples", "answers", "preferences", "lineage"}:
        assert getattr(facts, name) != getattr(empty, name), name
