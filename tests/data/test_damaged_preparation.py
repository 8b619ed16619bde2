"""A preparation that was cut off and then damaged goes on to the same bytes, or says what it does again."""

import random
import shutil

import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import load_manifest, survey, write_shards
from chainrule.tokenizer.train import byte_tokenizer

SHARD_BYTES = 4000


class CutOffError(Exception):
    """Like a kill."""


def prepared(workshop, folder, *, cut_off_at=2.0):
    config = TextConfig(paths=(str(workshop.texts),))
    found = survey(config, folder, workers=1)

    def tell(phase, done, total):
        if done > cut_off_at * total:
            raise CutOffError

    write_shards(
        found, byte_tokenizer(), folder, context_length=16, workers=1, shard_bytes=SHARD_BYTES, on_progress=tell
    )
    return found.notes


def everything(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def cut_off(workshop):
    workshop.fill(12, 150)
    with pytest.raises(CutOffError):
        prepared(workshop, workshop.data, cut_off_at=0.7)
    assert len(list(workshop.data.glob("train-*"))) >= 2
    return workshop


def test_any_flipped_bit_of_the_tables_ends_with_the_bytes_of_a_straight_preparation(cut_off, tmp_path):
    prepared(cut_off, tmp_path / "straight")
    straight, chance = everything(tmp_path / "straight"), random.Random(3)
    for path in sorted((cut_off.data / "survey").iterdir()):
        content = path.read_bytes()
        for place in chance.sample(range(8 * len(content)), min(3, 8 * len(content))):
            again = tmp_path / "again"
            shutil.copytree(cut_off.data, again)
            flipped = bytearray(content)
            flipped[place // 8] ^= 1 << place % 8
            (again / "survey" / path.name).write_bytes(flipped)
            notes = prepared(cut_off, again)
            assert everything(again) == straight, (path.name, place)
            if path.name in ("survey.json", "states.bin", "documents.bin", "units.bin"):
                assert any(f"{path.name} in" in note and "surveyed again" in note for note in notes), path.name
            shutil.rmtree(again)


def test_a_shard_whose_row_is_damaged_is_written_again(cut_off, tmp_path):
    """Passed over, it would have been missing in the text, and nobody would have known."""
    prepared(cut_off, tmp_path / "straight")
    journal = cut_off.data / "survey" / "shards.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    of_shards = [place for place, line in enumerate(lines) if b'"split": "train"' in line]
    assert len(of_shards) > 1
    lines[of_shards[0]] = lines[of_shards[0]].replace(b'"tokens": ', b'"tokens": 1', 1)
    journal.write_bytes(b"".join(lines))
    prepared(cut_off, cut_off.data)
    assert everything(cut_off.data) == everything(tmp_path / "straight")


def test_a_flipped_digit_of_the_report_is_no_longer_read(cut_off):
    prepared(cut_off, cut_off.data)
    path = cut_off.data / "manifest.json"
    before = path.read_bytes()
    assert b'"documents": 12' in before
    path.write_bytes(before.replace(b'"documents": 12', b'"documents": 13'))
    with pytest.raises(DataError, match="its seal does not fit"):
        load_manifest(cut_off.data)
