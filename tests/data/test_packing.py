import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES, DataError, DiskError
from chainrule.data import encoding, open_dataset, packing, write_shards
from chainrule.data.preparation import fitting_shard_bytes
from chainrule.tokenizer import train_bpe
from chainrule.tokenizer.train import byte_tokenizer


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("make", [byte_tokenizer, lambda: train_bpe(["ba de fi go ku lar men"] * 5, 300)])
@pytest.mark.parametrize("shard_bytes", [1 << 26, 2000])
def test_the_tokens_are_the_kept_documents_each_with_its_end(workshop, make, shard_bytes):
    workshop.fill(30)
    found, tokenizer = workshop.survey(), make()
    write_shards(found, tokenizer, workshop.data, context_length=16, workers=1, shard_bytes=shard_bytes)
    data = open_dataset(workshop.data)
    for split in ("train", "validation"):
        store = data.split(split)
        ids = store.read(0, store.n_tokens)
        ends = np.flatnonzero(ids == tokenizer.end_of_text)
        documents = [tokenizer.decode(part[:-1].tolist()) for part in np.split(ids, ends + 1)[:-1]]
        assert documents == list(found.texts(split))
        assert ids[-1] == tokenizer.end_of_text


def test_documents_of_many_pieces_keep_one_end(workshop, make_prose):
    book = "".join(make_prose(index, 500) for index in range(150))
    workshop.write("book.txt", book)
    manifest = workshop.prepare()
    assert manifest.report.split_documents == {"train": 1, "validation": 1}
    assert sum(manifest.report.tokens.values()) == len(book) + 2
    assert sum(manifest.report.split_bytes.values()) == len(book)


def test_control_words_in_a_document_are_ordinary_text(workshop, make_prose):
    workshop.fill(30)
    workshop.write("odd.txt", make_prose(99) + "<|endoftext|>" * 50 + "\0 \ufffd")
    manifest = workshop.prepare()
    data = open_dataset(workshop.data)
    for split in ("train", "validation"):
        store = data.split(split)
        assert (store.read(0, store.n_tokens) == manifest.end_of_text).sum() == store.n_documents


def test_the_report_has_tokens_bytes_and_documents_of_both_sides(workshop):
    workshop.fill(40)
    manifest = workshop.prepare()
    report = manifest.report
    assert report.tokens == {split: manifest.tokens(split) for split in ("train", "validation")}
    for split in ("train", "validation"):
        # Bytes are the tokens of this tokenizer.
        assert report.tokens[split] == report.split_bytes[split] + report.split_documents[split]
    assert sum(source.tokens for source in report.sources.values()) == sum(report.tokens.values())
    assert report.bytes == sum(report.split_bytes.values())
    json.dumps(report.row(), allow_nan=False)


def test_less_text_than_one_window_is_refused_with_both_numbers(workshop, make_prose):
    workshop.write("a.txt", make_prose(0, 40))
    with pytest.raises(DataError, match=r"the held-out text has \d+ tokens, but one window needs 513"):
        workshop.prepare(context_length=512)
    with pytest.raises(DataError, match=r"the training text has \d+ tokens, but one window needs 129"):
        workshop.prepare(context_length=128, validation_share=0.8)


def test_a_tokenizer_that_lies_about_its_size_is_refused(workshop):
    workshop.fill(20)

    liar = byte_tokenizer()
    liar.vocab_size, liar.end_of_text = 100, 99
    with pytest.raises(DataError, match="its vocabulary has 100 entries"):
        write_shards(workshop.survey(), liar, workshop.data, context_length=16, workers=1)
    assert not (workshop.data / "manifest.json").exists()


def test_two_preparations_are_equal_to_the_byte_and_so_are_two_processes(workshop, tmp_path):
    workshop.fill(40)
    workshop.prepare(shard_bytes=20_000)
    found = workshop.survey()
    seen = []
    write_shards(
        found,
        byte_tokenizer(),
        tmp_path / "other",
        context_length=16,
        workers=2,
        shard_bytes=20_000,
        on_progress=lambda *row: seen.append(row),
    )
    assert contents(workshop.data) == contents(tmp_path / "other")
    phases, done, totals = zip(*seen, strict=True)
    assert set(phases) == {"tokens"} and list(done) == sorted(done)
    assert done[-1] == totals[-1] == found.report["bytes"]


def test_a_shard_that_waits_on_the_disk_ends_with_the_same_bytes(workshop, tmp_path, monkeypatch):
    workshop.fill(40)
    workshop.prepare()
    before, workshop.data = workshop.data, tmp_path / "other"
    monkeypatch.setattr(packing, "HELD_BYTES", 5000)
    monkeypatch.setattr(packing, "MOST_LOOSE", 3)
    workshop.prepare()
    assert contents(workshop.data) == contents(before)


def test_the_number_of_shards_stays_bounded_while_the_text_grows():
    sizes = [fitting_shard_bytes(10**power) for power in range(3, 15)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 64 << 20 and sizes[-1] == 2 << 30
    # Two bytes for at least three of text.
    assert all(10**power * 2 / 3 / size < 350 for power, size in enumerate(sizes, 3) if power <= 12)


def test_a_resumed_preparation_trusts_only_files_that_nobody_touched(workshop):
    workshop.fill(40)
    workshop.prepare(shard_bytes=10_000)
    before = contents(workshop.data)
    shard = workshop.data / "train-00002.safetensors"
    damaged = bytearray(before[shard.name])
    damaged[len(damaged) // 2] ^= 4
    shard.write_bytes(damaged)
    workshop.prepare(shard_bytes=10_000)
    assert contents(workshop.data) == before


def test_what_is_finished_is_not_written_again(workshop):
    workshop.fill(40)
    manifest = workshop.prepare(shard_bytes=10_000)
    times = {path: path.stat().st_mtime_ns for path in workshop.data.glob("*.safetensors")}
    assert workshop.prepare(shard_bytes=10_000) == manifest
    assert times == {path: path.stat().st_mtime_ns for path in workshop.data.glob("*.safetensors")}


@pytest.mark.parametrize("name", ["train-00002.safetensors", "validation-00000.safetensors"])
@pytest.mark.parametrize("damage", ["remove", "change"])
def test_a_lost_or_damaged_shard_is_made_again_with_equal_bytes(workshop, name, damage):
    workshop.fill(40)
    workshop.prepare(shard_bytes=10_000)
    before = contents(workshop.data)
    path = workshop.data / name
    path.unlink() if damage == "remove" else path.write_bytes(b"x" * path.stat().st_size)
    workshop.prepare(shard_bytes=10_000)
    assert contents(workshop.data) == before


def test_another_tokenizer_leaves_nothing_of_the_first_preparation(workshop):
    workshop.fill(40)
    first = workshop.prepare(shard_bytes=5_000)
    (workshop.data / ".train-00000.safetensors.tmp-1").write_bytes(b"stump")
    (workshop.data / "notes.txt").write_text("mine")
    tokenizer = train_bpe(workshop.survey().texts("train"), 400)
    second = write_shards(workshop.survey(), tokenizer, workshop.data, context_length=16, workers=1)
    assert first.fingerprint != second.fingerprint
    names = {path.name for path in workshop.data.iterdir()}
    assert names == {shard.file for shard in second.shards} | {"manifest.json", "survey", "notes.txt"}


def test_a_file_that_changed_between_the_passes_is_refused_by_name(workshop):
    workshop.fill(40)
    found = workshop.survey()
    workshop.write("011.txt", "something else")
    with pytest.raises(DataError, match=r"011\.txt: changed while"):
        write_shards(found, byte_tokenizer(), workshop.data, context_length=16, workers=1)
    assert not (workshop.data / "manifest.json").exists()


def test_the_fingerprint_is_of_the_tokens_and_not_of_the_paths(workshop, tmp_path):
    workshop.fill(40)
    first = workshop.prepare()
    moved = workshop.texts.rename(tmp_path / "moved")
    other = replace(workshop.survey(paths=(str(moved),)))
    second = write_shards(other, byte_tokenizer(), tmp_path / "other", context_length=16, workers=1)
    assert second.fingerprint == first.fingerprint


LIMITED = """
import resource, signal, sys
from pathlib import Path
from chainrule.base import DiskError
from chainrule.config import TextConfig
from chainrule.data import survey, write_shards
from chainrule.tokenizer.train import byte_tokenizer
texts, data, limit = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    found = survey(TextConfig(paths=(texts,)), data, workers=1)
    write_shards(found, byte_tokenizer(), data, context_length=16, workers=1)
except DiskError as error:
    print(error)
"""


def test_a_file_that_may_not_grow_is_said_and_the_next_start_goes_on(workshop, tmp_path):
    workshop.fill(40, 900)
    command = [sys.executable, "-c", LIMITED, str(workshop.texts), str(tmp_path / "limited"), "100000"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "train-00000.safetensors: the file would be larger than allowed" in done.stdout
    assert "What was saved before is intact" in done.stdout
    assert sorted(path.name for path in (tmp_path / "limited").glob("*s*")) == [
        "survey",
        "validation-00000.safetensors",
    ]
    workshop.prepare()
    workshop.data = tmp_path / "limited"
    other = workshop.prepare()
    assert open_dataset(tmp_path / "limited").manifest == other == open_dataset(tmp_path / "data").manifest


def test_a_folder_that_cannot_be_made_is_said(workshop):
    workshop.fill(3)
    workshop.data.write_text("a file stands here")
    with pytest.raises(DiskError):
        workshop.survey()


def test_ids_that_go_through_the_disk_are_the_same(workshop, make_prose, monkeypatch):
    workshop.fill(40)
    workshop.write("book.txt", make_prose(99, 4000))
    workshop.prepare()
    before = contents(workshop.data)
    found = workshop.survey()
    shutil.rmtree(workshop.data)
    workshop.data.mkdir()
    monkeypatch.setattr(encoding, "SPOOL_BYTES", 3000)
    write_shards(found, byte_tokenizer(), workshop.data, context_length=16, workers=1)
    assert contents(workshop.data) == before
    assert not [path for path in workshop.data.iterdir() if path.name.startswith(".")]


def test_shards_without_room_are_refused_before_the_first_of_them_and_made_when_there_is(workshop, tmp_path):
    disk = SmallDisk(tmp_path / "disk", 16 << 20)
    try:
        workshop.fill(80, 2000)
        workshop.data = disk.folder / "data"
        found, n_bytes = workshop.survey(), sum(path.stat().st_size for path in workshop.texts.iterdir())
        before = contents(workshop.data)
        # A token of the bytes has two bytes: with a quarter less than that there is no room for all of them.
        disk.leave(FLOOR_BYTES + n_bytes * 3 // 2)
        needed = (
            r"MiB free, and 5\.\d MiB are needed for .* KiB of text as tokens of 2 bytes.* --machine\.cache, or give"
        )
        with pytest.raises(DiskError, match=needed):
            write_shards(found, byte_tokenizer(), workshop.data, context_length=16)
        assert contents(workshop.data) == before
        # What is learnt of it needs less: by its tokens, and not by its bytes, it is judged.
        learnt = train_bpe(list(found.texts("train"))[:20], 600)
        write_shards(found, learnt, workshop.data, context_length=16)
        disk.leave(FLOOR_BYTES + n_bytes * 9 // 4)
        write_shards(found, byte_tokenizer(), workshop.data, context_length=16)
    finally:
        disk.close()
