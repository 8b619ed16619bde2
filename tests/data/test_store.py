import json
from pathlib import Path

import numpy as np
import pytest

from chainrule.base import DataError
from chainrule.data import open_dataset
from chainrule.data.store import TokenStore, open_shards


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


def test_windows_outside_the_text_are_refused(store):
    for start, length in ((-1, 5), (store.n_tokens - 4, 5), (0, 0)):
        with pytest.raises(DataError, match="leave a text of"):
            store.gather(np.array([start]), length)
    assert store.gather(np.empty(0, np.int64), 5).shape == (0, 5)
    assert store.document_ids(np.empty(0, np.int64), 5).shape == (0, 5)


def test_an_empty_store_has_no_sources():
    assert TokenStore([], ()).sources() == {}
    assert open_shards(Path(), []) == []


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
        with pytest.raises(DataError, match=r"train-00001\.safetensors was changed"):
            open_dataset(prepared)
    shard.write_bytes(whole)
    open_dataset(prepared)


def test_all_missing_and_replaced_shards_are_listed(prepared):
    (prepared / "train-00000.safetensors").unlink()
    (prepared / "train-00001.safetensors").write_bytes((prepared / "train-00002.safetensors").read_bytes())
    with pytest.raises(DataError, match=r"train-00000.* is missing; train-00001.* was changed"):
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
