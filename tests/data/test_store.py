import errno
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from chainrule.base import DataError, read_sealed
from chainrule.data import Batches, mapped, open_dataset
from chainrule.data.mapped import ShardFile
from chainrule.data.shards import read_layout
from chainrule.data.store import TokenStore


@pytest.fixture(params=["many shards", "one shard"])
def store(request, workshop, prepared_once):
    """The same text in many small shards and in one."""
    if request.param == "many shards":
        return open_dataset(prepared_once).split("train")
    workshop.fill()
    return workshop.dataset().split("train")


def everything(store):
    return store.read(0, store.n_tokens)


def test_gather_equals_slices(store):
    tokens = everything(store)
    starts = np.random.default_rng(0).integers(0, store.n_tokens - 3500, 200)
    for length in (1, 17, 1700, 3500):
        windows = store.gather(starts, length)
        assert windows.dtype == np.int64
        assert all(
            (window == tokens[start : start + length]).all() for start, window in zip(starts, windows, strict=True)
        )


def test_document_ids_count_the_ends_up_to_each_place(store):
    tokens = everything(store)
    ends = np.cumsum(tokens == 256)
    starts = np.random.default_rng(1).integers(0, store.n_tokens - 3500, 50)
    for length in (1, 200, 3500):
        expected = np.stack([ends[start : start + length] for start in starts])
        assert (store.document_ids(starts, length) == expected).all()
    last = np.array([store.n_tokens - 1])
    assert store.document_ids(last, 1).tolist() == [[store.n_documents]] == [[ends[-1]]]
    assert store.n_documents == (tokens == 256).sum()


def test_sources_cover_the_text_once(store):
    ranges = np.concatenate(list(store.sources().values()))
    ranges = ranges[np.argsort(ranges[:, 0])]
    assert ranges[0, 0] == 0 and ranges[-1, 1] == store.n_tokens
    assert (ranges[1:, 0] == ranges[:-1, 1]).all()
    assert len(store.sources()) == store.n_documents


def test_each_position_has_the_source_of_its_document(store):
    sources = store.sources()
    assert store.occurring == tuple(sources)
    expected = np.empty(store.n_tokens, np.int64)
    for place, spans in enumerate(sources.values()):
        for start, end in spans:
            expected[start:end] = place
    positions = np.random.default_rng(0).permutation(store.n_tokens)
    assert (store.sources_at(positions) == expected[positions]).all()
    assert store.sources_at(np.empty(0, np.int64)).shape == (0,)


def test_only_the_sources_of_this_side_occur(workshop):
    workshop.fill(40)
    dataset = workshop.dataset()
    assert 1 <= len(dataset.split("validation").occurring) < 40
    assert set(dataset.split("validation").occurring).isdisjoint(dataset.split("train").occurring)
    assert dataset.split("train") is dataset.split("train")


def test_a_place_is_in_the_document_and_source_that_covers_it(store):
    ranges = store.sources()
    places = [0, store.n_tokens - 1, *np.random.default_rng(2).integers(0, store.n_tokens, 60).tolist()]
    ends = np.flatnonzero(everything(store) == 256)
    places += [*ends[:20].tolist(), *(ends[:20] + 1).tolist()]
    for place in places:
        (name,) = (name for name, spans in ranges.items() if ((spans[:, 0] <= place) & (place < spans[:, 1])).any())
        assert store.document_at(place) == (np.searchsorted(ends, place), name)


def test_windows_outside_the_text_are_refused(store):
    for start, length in ((-1, 5), (store.n_tokens - 4, 5), (0, 0)):
        with pytest.raises(DataError, match="leave a text of"):
            store.gather(np.array([start]), length)
    assert store.gather(np.empty(0, np.int64), 5).shape == (0, 5)
    assert store.document_ids(np.empty(0, np.int64), 5).shape == (0, 5)


def test_an_empty_store_has_no_sources():
    assert TokenStore([], ()).sources() == {}


def test_a_folder_without_manifest_says_so(tmp_path):
    with pytest.raises(DataError, match="holds no prepared text"):
        open_dataset(tmp_path)


def test_a_side_that_is_not_there_is_refused(workshop):
    workshop.fill()
    with pytest.raises(DataError, match="no side 'test'"):
        workshop.dataset().split("test")


def test_a_moved_dataset_opens(workshop, tmp_path):
    workshop.fill()
    workshop.prepare()
    moved = workshop.data.rename(tmp_path / "elsewhere")
    assert open_dataset(moved).split("train").n_tokens


def test_any_flipped_bit_is_found_and_its_file_named(prepared):
    shard = prepared / "train-00001.safetensors"
    whole = shard.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(whole), 40):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        shard.write_bytes(damaged)
        with pytest.raises(DataError, match=r"train-00001\.safetensors: (was changed|is not )"):
            read_all(open_dataset(prepared))
        with pytest.raises(DataError, match=r"train-00001\.safetensors: (was changed|is not )"):
            open_dataset(prepared, verify=True)
    shard.write_bytes(whole)
    read_all(open_dataset(prepared))


def test_opening_reads_no_tokens_and_a_flipped_bit_is_found_before_it_is_given_out(prepared):
    shard = prepared / "train-00001.safetensors"
    content = bytearray(shard.read_bytes())
    place = ShardFile(shard).layout.places["tokens"]
    content[place.offset + 40] ^= 1
    shard.write_bytes(content)
    store = open_dataset(prepared).split("train")
    first = open_dataset(prepared).manifest.shards[0]
    with pytest.raises(DataError, match=r"train-00001\.safetensors: was changed"):
        store.gather(np.array([0, first.tokens + 15]), 8)
    with pytest.raises(DataError, match=r"train-00001\.safetensors: was changed"):
        store.read(first.tokens - 5, 60)


def test_counts_made_while_packing_are_those_of_the_tokens(prepared):
    dataset = open_dataset(prepared)
    for name in ("train", "validation"):
        assert (dataset.counts(name) == np.bincount(everything(dataset.split(name)), minlength=257)).all()


def as_before_checksums(folder):
    """The same shards and manifest as an older chainrule wrote them."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["shards"]:
        path = folder / entry["file"]
        shard = ShardFile(path)
        arrays = {"doc_ends": shard.doc_ends, "sources": shard.sources, "tokens": shard.stretch(0, shard.n_tokens)}
        safetensors.numpy.save_file(
            {name: np.array(array) for name, array in arrays.items()}, path, dict(shard.layout.metadata)
        )
        del entry["root"]
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    del manifest["seal"]
    known = {key: value for key, value in manifest.items() if key not in ("fingerprint", "report")}
    manifest["fingerprint"] = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_shards_of_an_older_chainrule_are_read_and_checked(prepared):
    before = open_dataset(prepared)
    tokens, counts = everything(before.split("train")), before.counts("train")
    as_before_checksums(prepared)
    older = open_dataset(prepared)
    assert (everything(older.split("train")) == tokens).all()
    assert (older.counts("train") == counts).all()
    shard = prepared / "train-00001.safetensors"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"train-00001\.safetensors: was changed"):
        open_dataset(prepared)


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
import numpy.ma  # numpy brings it when it is first needed
from chainrule.base import ChainruleError
from chainrule.data import Batches, open_dataset
limit, hoard = int(sys.argv[2]), sys.argv[3] == "hoard"
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
dataset = open_dataset(Path(sys.argv[1]))
train, held_out = dataset.split("train"), dataset.split("validation")
print(len(dataset.shards), flush=True)
held = []
try:
    while hoard:
        held.append(open("/dev/null"))
except OSError:
    pass
try:
    ids = Batches(train, 16, 0).windows(0, 2000).ids
    everything = [store.read(0, store.n_tokens) for store in (train, held_out)]
    held.clear()
    print(ids.sum() + sum(int(part.sum()) for part in everything))
except ChainruleError as fault:
    held.clear()
    print(type(fault).__name__, fault)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_hundreds_of_shards_are_read_with_64_descriptors_and_with_10(workshop, monkeypatch):
    # Waiting for the disk at each of 500 shards would take most of the time.
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    workshop.fill(320, 40)
    dataset = workshop.dataset(shard_bytes=200, near_duplicates="keep")
    train, held_out = dataset.split("train"), dataset.split("validation")
    expected = int(Batches(train, 16, 0).windows(0, 2000).ids.sum())
    expected += sum(int(everything(store).sum()) for store in (train, held_out))
    for limit in (64, 10):
        command = [sys.executable, "-c", LIMITED, str(workshop.data), str(limit), "alone"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        n_shards, result = map(int, done.stdout.split())
        assert n_shards > 300
        assert result == expected


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_full_table_of_descriptors_is_never_called_damage(workshop):
    workshop.fill()
    workshop.prepare(shard_bytes=2000)
    command = [sys.executable, "-c", LIMITED, str(workshop.data), "64", "hoard"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "DiskError" in said and "too many files are open" in said and "ulimit -n" in said
    assert "prepare" not in said.replace("the prepared text is well", "")


def test_descriptors_that_others_hold_for_a_moment_are_waited_out(workshop, monkeypatch):
    workshop.fill()
    workshop.prepare(shard_bytes=2000)
    store, real, refused = open_dataset(workshop.data).split("train"), mapped._mapping, []

    def full_at_first(path, size):
        if len(refused) < 2:
            refused.append(path)
            raise OSError(errno.EMFILE, "too many open files")
        return real(path, size)

    monkeypatch.setattr(mapped, "_mapping", full_at_first)
    assert len(store.read(0, store.n_tokens)) == store.n_tokens and len(refused) == 2


def read_all(dataset):
    """Everything that training could read."""
    for name in ("train", "validation"):
        store = dataset.split(name)
        store.read(0, store.n_tokens)
        store.sources()
        dataset.counts(name)


def test_all_missing_and_replaced_shards_are_listed(prepared):
    (prepared / "train-00000.safetensors").unlink()
    (prepared / "train-00001.safetensors").write_bytes((prepared / "train-00002.safetensors").read_bytes())
    with pytest.raises(DataError, match=r"train-00000.* is missing; .*train-00001.* was changed"):
        open_dataset(prepared)


def test_truncation_is_found_without_reading_everything(prepared):
    shard = prepared / "train-00000.safetensors"
    whole = shard.read_bytes()
    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        shard.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"train-00000\.safetensors: is not a readable token shard"):
            open_dataset(prepared, verify=False)


@pytest.mark.parametrize("header", [b"", b"[]", b'{"tokens": 3}', b'{"__metadata__": {"format": "pt"}}', b"\xff" * 30])
def test_a_foreign_file_in_place_of_a_shard_is_refused(prepared, header):
    (prepared / "train-00000.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(DataError, match="not a readable token shard"):
        open_dataset(prepared, verify=False)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"version": 1}', '{"version": 7}', '{"version": 1, "shards": 3}']
)
def test_a_damaged_manifest_is_refused(prepared, content):
    (prepared / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json: (is damaged|is of version)"):
        open_dataset(prepared)


@pytest.mark.parametrize(("key", "value"), [("vocab_size", 100), ("tokenizer", "other"), ("end_of_text", 1)])
def test_an_edited_manifest_is_refused(prepared, key, value):
    path = prepared / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(DataError, match="was edited"):
        open_dataset(prepared)


def test_brackets_without_an_end_in_a_header_or_a_sealed_file_are_damage(tmp_path):
    deep = b"[" * 100_000
    shard = tmp_path / "train-00000.safetensors"
    shard.write_bytes(len(deep).to_bytes(8, "little") + deep)
    with pytest.raises(DataError, match="is not a readable token shard"):
        read_layout(shard)
    (tmp_path / "survey.json").write_bytes(deep)
    assert read_sealed(tmp_path / "survey.json") is None
