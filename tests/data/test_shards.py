import errno
import hashlib
import os

import numpy as np
import pytest
import safetensors

from chainrule.base import DataError, DiskError, sha256_of_file
from chainrule.data.manifest import load_manifest
from chainrule.data.mapped import ShardFile
from chainrule.data.shards import BLOCK_BYTES, narrowed, read_layout, token_dtype, write_shard


def arrays(n_tokens=1000, vocab_size=300):
    tokens = np.random.default_rng(0).integers(0, vocab_size, n_tokens).astype(token_dtype(vocab_size))
    counts = np.bincount(tokens, minlength=vocab_size).astype(np.uint32)
    before = {"doc_ends": np.array([300, 900], "<u8"), "sources": np.array([0, 1], "<u4"), "counts": counts}
    return before, [tokens[:400], tokens[400:]], n_tokens, tokens.dtype


def everything(shard):
    return shard.stretch(0, shard.n_tokens)


@pytest.mark.parametrize("n_tokens", [1000, 4 * BLOCK_BYTES + 1])
@pytest.mark.parametrize("vocab_size", [300, 70_000])
def test_a_shard_reads_back_as_it_was_written(tmp_path, vocab_size, n_tokens):
    before, tokens, *_ = given = arrays(n_tokens, vocab_size)
    written = write_shard(tmp_path / "a.safetensors", *given, {"tokenizer": "abc"})
    shard = ShardFile(tmp_path / "a.safetensors")
    assert (everything(shard) == np.concatenate(tokens)).all() and everything(shard).dtype == tokens[0].dtype
    for name, array in before.items():
        assert (getattr(shard, name) == array).all()
    assert shard.layout.metadata["tokenizer"] == "abc"
    assert shard.layout.root == written.root
    assert hashlib.sha256((tmp_path / "a.safetensors").read_bytes()).hexdigest() == written.sha256


def test_safetensors_itself_reads_the_same(tmp_path):
    before, tokens, *_ = given = arrays()
    write_shard(tmp_path / "a.safetensors", *given, {"split": "train"})
    with safetensors.safe_open(tmp_path / "a.safetensors", "np") as opened:
        assert set(opened.keys()) == {"tokens", "doc_ends", "sources", "counts", "sums"}
        assert (opened.get_tensor("tokens") == np.concatenate(tokens)).all()
        assert (opened.get_tensor("doc_ends") == before["doc_ends"]).all()
        assert opened.metadata()["split"] == "train"


def test_a_shard_without_documents_is_whole(tmp_path):
    none = {"doc_ends": np.array([], np.uint64), "sources": np.array([], np.uint32)}
    write_shard(tmp_path / "a.safetensors", none, [np.zeros(3, np.uint16)], 3, np.dtype("<u2"), {})
    shard = ShardFile(tmp_path / "a.safetensors")
    assert len(shard.doc_ends) == len(shard.sources) == shard.n_documents == 0
    assert shard.counts is None
    assert everything(shard).tolist() == [0, 0, 0]


def test_equal_content_gives_equal_bytes(tmp_path):
    sums = {write_shard(tmp_path / f"{i}", *arrays(), {"b": "1", "a": "2", "c": str(i * 0)}) for i in range(5)}
    assert len(sums) == 1


def test_the_way_the_tokens_come_does_not_show_in_the_bytes(tmp_path):
    before, (first, second), *rest = arrays(3 * BLOCK_BYTES + 11)
    whole = np.concatenate([first, second])
    ways = [[whole], [first, second], np.split(whole, [1, 5, BLOCK_BYTES // 2 - 9, BLOCK_BYTES, 2 * BLOCK_BYTES])]
    assert len({write_shard(tmp_path / f"{i}", before, way, *rest, {}) for i, way in enumerate(ways)}) == 1


@pytest.mark.parametrize(
    ("ids", "vocab_size"),
    [([70_000, 5], 65_536), ([5, 256], 256), ([-1, 3], 256), ([2**32], 2**32), ([2**40], 70_000)],
)
def test_an_id_beyond_the_vocabulary_is_refused_and_never_wrapped(ids, vocab_size):
    with pytest.raises(DataError, match=f"its vocabulary has {vocab_size} entries"):
        narrowed(np.array(ids), vocab_size)


@pytest.mark.parametrize(("vocab_size", "dtype"), [(1, "uint16"), (65_536, "uint16"), (65_537, "uint32")])
def test_the_dtype_holds_the_largest_id(vocab_size, dtype):
    assert token_dtype(vocab_size) == dtype
    assert narrowed(np.array([vocab_size - 1]), vocab_size).tolist() == [vocab_size - 1]


@pytest.mark.parametrize("vocab_size", [0, -5, 2**33])
def test_a_vocabulary_that_cannot_be_stored_is_refused(vocab_size):
    with pytest.raises(DataError, match="cannot be stored"):
        token_dtype(vocab_size)


def test_a_full_disk_is_said_and_leaves_no_stump(tmp_path):
    path = tmp_path / "a.safetensors"
    write_shard(path, *arrays(), {})
    before = path.read_bytes()
    arrays_before, tokens, *rest = arrays(5000)

    def until_full():
        yield tokens[0]
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(DiskError, match="the disk is full"):
        write_shard(path, arrays_before, until_full(), *rest, {})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name")
@pytest.mark.parametrize("read", [read_layout, sha256_of_file, lambda path: load_manifest(path.parent)])
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(tmp_path, read):
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises((DataError, DiskError, OSError), match="a pipe or a device stands in its place"):
        read(tmp_path / "manifest.json")
