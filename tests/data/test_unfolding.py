import bz2
import gzip
import json
from pathlib import Path

import pytest
import zstandard

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import encoding, streams, survey, unfolding, units, write_shards
from chainrule.data.files import list_files
from chainrule.data.unfolding import Ranges
from chainrule.tokenizer.train import byte_tokenizer


@pytest.fixture
def small(monkeypatch):
    """Compressed files are divided into ranges of a few documents."""
    monkeypatch.setattr(units, "UNIT_BYTES", 20_000)
    monkeypatch.setattr(units, "DIVIDED_SHARE", 0)
    monkeypatch.setattr(unfolding, "FILLED_AT_ONCE", 3000)


def rows(make_prose, n=80):
    return [json.dumps({"text": make_prose(seed)}) for seed in range(n)]


def fill(workshop, make_prose):
    workshop.write("a.jsonl.gz", gzip.compress("\n".join(rows(make_prose)).encode()))
    workshop.write("b.txt.zst", zstandard.compress("".join(make_prose(seed) for seed in range(100, 250)).encode()))
    workshop.write("c.txt.bz2", bz2.compress("</s>\n".join(make_prose(seed) for seed in range(600, 660)).encode()))


def prepared(workshop, name, workers=1):
    """The bytes of all that a preparation writes, and of how many units it was."""
    folder = workshop.data / name
    found = survey(TextConfig(paths=(str(workshop.texts),), on_bad="skip"), folder, workers=workers)
    write_shards(found, byte_tokenizer(), folder, context_length=16, workers=workers, shard_bytes=20_000)
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    tables = {name: (folder / "survey" / name).read_bytes() for name in ("documents.bin", "signatures.bin")}
    assert not [path for path in folder.rglob("*") if "spool" in path.name or "unfolded" in path.name]
    return {**kept, **tables}, found


def test_ranges_of_compressed_files_give_what_whole_files_give(workshop, make_prose, small, monkeypatch):
    fill(workshop, make_prose)
    divided, found = prepared(workshop, "divided")
    assert found.n_units > 12
    by_two, _ = prepared(workshop, "by two", workers=2)
    monkeypatch.setattr(units, "DIVIDED_SHARE", 2)
    whole, other = prepared(workshop, "whole")
    assert other.n_units == 3
    assert divided == by_two == whole
    for split in ("train", "validation"):
        assert list(found.texts(split)) == list(other.texts(split))
    assert (
        "".join(found.sample("train", 50_000)) in "".join(found.texts("train")) or found.split_bytes("train") > 50_000
    )


def test_one_of_many_compressed_files_is_not_divided(workshop, make_prose, small, monkeypatch):
    monkeypatch.setattr(units, "DIVIDED_SHARE", 1 / 8)
    for index in range(9):
        workshop.write(f"{index}.jsonl.gz", gzip.compress("\n".join(rows(make_prose)).encode()))
    assert workshop.survey(duplicates="keep", near_duplicates="keep").n_units == 9


@pytest.mark.parametrize("at_once", [3000, 1 << 16])
def test_what_stands_before_damage_in_a_divided_file_is_kept(workshop, make_prose, small, monkeypatch, at_once):
    monkeypatch.setattr(unfolding, "FILLED_AT_ONCE", at_once)
    whole = gzip.compress("\n".join(rows(make_prose)).encode())
    path = workshop.write("a.jsonl.gz", whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"a\.jsonl\.gz: truncated at byte"):
        workshop.survey()
    found = workshop.survey(on_bad="skip", validation_share=0.2)
    assert found.n_units >= 2 and found.report["bad"] in (1, 2) and 15 < found.report["documents"] < 42
    assert "truncated at byte" in found.report["notes"][0]
    # What is lost is the same wherever reading begins.
    (file,) = list_files([str(path)]).files
    lengths = set()
    for start in (0, 100, 5000, 20_000, 30_000):
        with Ranges(workshop.texts) as ranges, (rest := ranges.take(file, start, 0)).once():
            lengths.add(start + rest.n_bytes)
            assert "truncated" in rest.fault
    assert len(lengths) == 1
    assert len(list(found.texts("validation"))) + len(list(found.texts("train"))) == found.report["documents"]


def test_a_bad_row_of_a_divided_file_is_named_by_its_line(workshop, make_prose, small):
    lines = rows(make_prose)
    lines[67] = "no row"
    workshop.write("a.jsonl.gz", gzip.compress("\n".join(lines).encode()))
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:68: malformed JSON"):
        workshop.survey()
    # The same place after what was read before it is not read again.
    with pytest.raises(DataError, match=r"a\.jsonl\.gz:68: malformed JSON"):
        workshop.survey()


def test_a_bomb_in_a_file_that_is_divided_is_refused(workshop, make_prose, small, monkeypatch):
    monkeypatch.setattr(streams, "RATIO_FROM", 200_000)
    monkeypatch.setattr(streams, "RATIO", 20)
    text = "\n".join(rows(make_prose)).encode() + b"\n" + (b'{"text": "' + b"a" * 5000 + b'"}\n') * 300
    workshop.write("a.jsonl.gz", gzip.compress(text))
    with pytest.raises(DataError, match="looks like a compression bomb"):
        workshop.survey()


def test_a_preparation_goes_on_inside_a_compressed_file_without_encoding_again(
    workshop, make_prose, small, monkeypatch
):
    fill(workshop, make_prose)
    straight, _ = prepared(workshop, "straight")
    encoded = []
    original = encoding.read_job

    def counted(job):
        encoded.append(job.span)
        return original(job)

    monkeypatch.setattr(encoding, "read_job", counted)

    class StoppedError(Exception):
        pass

    def stop(phase, done, total):
        if phase == "tokens" and done > 0.8 * total:
            raise StoppedError

    for on_progress in (stop, None):
        folder = workshop.data / "stopped"
        config = TextConfig(paths=(str(workshop.texts),), on_bad="skip")
        again = survey(config, folder, workers=1)
        options = {"context_length": 16, "workers": 1, "shard_bytes": 20_000, "on_progress": on_progress}
        if on_progress:
            with pytest.raises(StoppedError):
                write_shards(again, byte_tokenizer(), folder, **options)
            before = len(encoded)
        else:
            write_shards(again, byte_tokenizer(), folder, **options)
    assert before > 15 and len(encoded) - before < 0.5 * before
    assert {
        name: (folder / name).read_bytes() for name in straight if (folder / name).is_file()
    }.items() <= straight.items()


def test_a_range_is_what_stands_there(workshop, make_prose):
    text = make_prose(0, 9000).encode()
    path = workshop.write("a.txt.gz", gzip.compress(text))
    (file,) = list_files([str(path)]).files
    with Ranges(workshop.texts) as ranges:
        for start, end in ((0, 10), (10, 11), (5000, 9000), (len(text) - 5, 0)):
            found = ranges.take(file, start, end)
            with found.once():
                assert Path(found.path).read_bytes() == text[start : end or None]
                assert found.first_line == 1 + text[:start].count(b"\n")
    assert found.reached == file.size and list(workshop.texts.iterdir()) == [path]
