import gzip
import json
import shutil
import subprocess
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import pieces, range_ends, recording, scan, survey, text, units

KILLED = """
import json, os, signal, sys
from pathlib import Path
from chainrule.config import TextConfig
from chainrule.data import scan, survey, units

path, units.UNIT_BYTES, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
scan.JOURNAL_BYTES = units.UNIT_BYTES


def survey_in_child(name, kill):
    def tell(phase, done, total):
        print(name, done, total, flush=True)
        if kill and done > total / 2:
            os.kill(os.getpid(), signal.SIGKILL)

    if (child := os.fork()) == 0:
        survey(TextConfig(paths=(path,)), folder / name, workers=1, on_progress=tell)
        os._exit(0)
    return os.waitpid(child, 0)[1]


assert survey_in_child("stopped", True) == signal.SIGKILL
print("kept", json.loads((folder / "stopped/survey/scan.json").read_text())["counts"]["start"], 0, flush=True)
assert survey_in_child("stopped", False) == survey_in_child("straight", False) == 0
"""
SYLLABLES = [a + b for a in "bdfgklmnprst" for b in "aeiou"]


def tables(folder):
    names = ("documents.bin", "signatures.bin", "units.bin", "states.bin", "flaws.jsonl", "left_out.jsonl")
    return {name: (folder / "survey" / name).read_bytes() for name in names}


@pytest.fixture
def small(monkeypatch):
    """Units of a few documents, and rows that go through the disk."""
    for module in (pieces, range_ends, text):
        monkeypatch.setattr(module, "PIECE_BYTES", 2000)
    monkeypatch.setattr(units, "UNIT_BYTES", 4000)
    monkeypatch.setattr(recording, "SPOOL_BYTES", 600)


def fill_all_kinds(workshop, make_prose):
    rows = [json.dumps({"text": make_prose(seed)}).encode() for seed in range(30)]
    rows[7], rows[23] = b'{"text": "caf\xe9 of a row"}', b"no row"
    workshop.write("a.jsonl", b"\n".join(rows))
    workshop.write("b.jsonl.gz", gzip.compress(b"\n".join(rows[:3])))
    workshop.write("c.txt", make_prose(50, 9000))
    workshop.write("d.txt", b"GIF\0")
    table = pyarrow.table({"text": [make_prose(seed) for seed in range(80, 90)]})
    pyarrow.parquet.write_table(table, workshop.texts / "f.parquet", row_group_size=2)
    for seed in range(60, 75):
        workshop.write(f"e/{seed}.txt", make_prose(seed, 40))


def test_several_processes_write_the_same_bytes_as_one(workshop, make_prose):
    fill_all_kinds(workshop, make_prose)
    config = TextConfig(paths=(str(workshop.texts),), on_bad="skip")
    found = [survey(config, workshop.data / str(workers), workers=workers) for workers in (1, 2)]
    assert found[0].report == found[1].report
    assert tables(workshop.data / "1") == tables(workshop.data / "2")
    assert not list((workshop.data / "2" / "survey").glob("spool-*"))


def test_units_of_any_size_find_the_same_documents(workshop, make_prose, small, monkeypatch):
    fill_all_kinds(workshop, make_prose)
    divided = workshop.survey(on_bad="skip")
    assert divided.n_units > 20
    in_units = {name: content for name, content in tables(workshop.data).items() if name != "units.bin"}
    shutil.rmtree(workshop.data)
    for module, name in ((units, "UNIT_BYTES"), (recording, "SPOOL_BYTES")):
        monkeypatch.setattr(module, name, 1 << 30)
    whole = workshop.survey(on_bad="skip")
    assert whole.n_units == 1
    assert in_units == {name: content for name, content in tables(workshop.data).items() if name != "units.bin"}
    for split in ("train", "validation"):
        assert "".join(divided.texts(split)) == "".join(whole.texts(split))


def test_a_bad_row_is_named_by_its_line_wherever_its_range_begins(workshop, make_prose, small):
    rows = [json.dumps({"text": make_prose(seed, 200)}) for seed in range(40)]
    rows[37] = "no row"
    workshop.write("a.jsonl", "\n".join(rows))
    with pytest.raises(DataError, match=r"a\.jsonl:38: malformed JSON"):
        workshop.survey()
    rows[20] = '{"text": "\\ud800"}'
    workshop.write("a.jsonl", "\n".join(rows))
    with pytest.raises(DataError, match=r"a\.jsonl:21: the text holds a lone surrogate"):
        workshop.survey()


def reads(monkeypatch):
    """A list that grows with each unit that is read."""
    seen = []
    original = scan.record

    def counted(*given):
        seen.append(given[-1].unit)
        return original(*given)

    monkeypatch.setattr(scan, "record", counted)
    return seen


def test_other_decisions_read_nothing_again_and_decide_as_if_they_had(workshop, make_prose, small, monkeypatch):
    fill_all_kinds(workshop, make_prose)
    seen = reads(monkeypatch)
    workshop.survey(on_bad="skip")
    assert seen
    for settings in (
        {"on_bad": "replace", "near_threshold": 0.4},
        {"on_bad": "skip", "validation_share": 0.3, "duplicates": "keep", "near_duplicates": "keep"},
    ):
        seen.clear()
        found = workshop.survey(**settings)
        assert not seen
        kept, workshop.data = workshop.data, workshop.data.with_name("fresh")
        fresh = workshop.survey(**settings)
        assert seen and found.report == fresh.report and tables(kept) == tables(workshop.data)
        shutil.rmtree(workshop.data)
        workshop.data = kept


def test_an_error_names_the_first_bad_document_and_skipping_goes_on_from_there(
    workshop, make_prose, small, monkeypatch
):
    rows = [json.dumps({"text": make_prose(seed, 200)}) for seed in range(60)]
    rows[40], rows[50] = '{"text": "half \\ud800"}', '{"text": 7}'
    workshop.write("a.jsonl", "\n".join(rows))
    seen = reads(monkeypatch)
    with pytest.raises(DataError, match=r"a\.jsonl:41: .*set text.on_bad to skip or replace"):
        workshop.survey()
    before = len(seen)
    seen.clear()
    report = workshop.survey(on_bad="skip").report
    assert (report["bad"], report["documents"]) == (2, 58)
    assert before > 5 and seen[0].start > 0
    # All is read now, and the error is known without reading.
    seen.clear()
    with pytest.raises(DataError, match=r"a\.jsonl:41: "):
        workshop.survey()
    assert not seen
    assert workshop.survey(on_bad="replace").report["documents"] == 59


@pytest.mark.parametrize("name", ["states.bin", "survey.json", "documents.bin", "units.bin"])
def test_a_flipped_bit_in_a_finished_survey_is_noticed_said_and_surveyed_again(workshop, name):
    workshop.fill(30)
    first = workshop.survey()
    before = tables(workshop.data)
    flip(workshop.data / "survey" / name)
    again = workshop.survey()
    assert again.notes == (f"{name} in {workshop.data / 'survey'} was damaged: surveyed again",)
    assert tables(workshop.data) == before and again.report == first.report
    assert workshop.survey().notes == ()


@pytest.mark.parametrize("name", ["scan.json", "signatures.bin", "documents.bin", "units.bin", "flaws.jsonl"])
def test_a_flipped_bit_in_an_unfinished_survey_is_noticed_and_said(workshop, make_prose, name, monkeypatch):
    fill_all_kinds(workshop, make_prose)
    workshop.survey(on_bad="skip", validation_share=0.1)
    (workshop.data / "survey" / "survey.json").unlink()
    flip(workshop.data / "survey" / name)
    seen = reads(monkeypatch)
    found = workshop.survey(on_bad="skip")
    assert f"{name} in {workshop.data / 'survey'} was damaged: surveyed again" in found.notes
    assert seen and found.report["documents"] == 28 + 1 + 15 + 10


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def grow(path, n_bytes):
    """Documents, or one of as many lines, of words that are drawn anew for each."""
    chooser, words = np.random.default_rng(0), np.array([a + b + " " for a in SYLLABLES for b in SYLLABLES])
    with path.open("w") as stream:
        while stream.tell() < n_bytes:
            for line in map("".join, chooser.choice(words, (200, 300)).tolist()):
                stream.write((json.dumps({"text": line}) if path.suffix == ".jsonl" else line) + "\n")


@pytest.mark.parametrize(
    ("name", "n_bytes", "unit_bytes"),
    [
        ("a.jsonl", 2 << 20, 1 << 17),
        ("a.txt", 3 << 20, 1 << 18),
        pytest.param("a.jsonl", 1 << 30, 8 << 20, marks=pytest.mark.slow),
        pytest.param("a.txt", 1 << 30, 8 << 20, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(600)
def test_a_survey_killed_inside_a_file_goes_on_inside_it_to_the_same_bytes(tmp_path, name, n_bytes, unit_bytes):
    grow(tmp_path / name, n_bytes)
    command = [sys.executable, "-c", KILLED, str(tmp_path / name), str(unit_bytes), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [(word, int(at), int(total)) for word, at, total in map(str.split, done.stdout.splitlines())]
    kept = rows.index(next(row for row in rows if row[0] == "kept"))
    assert rows[kept][1] > rows[0][2] / 3
    assert rows[kept + 1][0] == "stopped" and rows[kept + 1][1] > rows[kept][1]
    assert tables(tmp_path / "stopped") == tables(tmp_path / "straight")
