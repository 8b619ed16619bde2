import os

import numpy as np
import pytest
import safetensors

from chainrule.base import DataError, DiskError
from chainrule.data.shards import narrowed, read_shard, token_dtype, write_shard


def arrays(n_tokens=1000, vocab_size=300):
    tokens = np.random.default_rng(0).integers(0, vocab_size, n_tokens).astype(token_dtype(vocab_size))
    return [tokens[:400], tokens[400:]], np.array([300, 900], np.uint64), np.array([0, 1], np.uint32)


@pytest.mark.parametrize("vocab_size", [300, 70_000])
def test_a_shard_reads_back_as_it_was_written(tmp_path, vocab_size):
    tokens, doc_ends, sources = arrays(vocab_size=vocab_size)
    write_shard(tmp_path / "a.safetensors", tokens, doc_ends, sources, {"tokenizer": "abc"})
    shard = read_shard(tmp_path / "a.safetensors")
    assert (shard.tokens == np.concatenate(tokens)).all() and shard.tokens.dtype == tokens[0].dtype
    assert (shard.doc_ends == doc_ends).all() and (shard.sources == sources).all()
    assert shard.metadata["tokenizer"] == "abc"


def test_safetensors_itself_reads_the_same(tmp_path):
    tokens, doc_ends, sources = arrays()
    write_shard(tmp_path / "a.safetensors", tokens, doc_ends, sources, {"split": "train"})
    with safetensors.safe_open(tmp_path / "a.safetensors", "np") as opened:
        assert set(opened.keys()) == {"tokens", "doc_ends", "sources"}
        assert (opened.get_tensor("tokens") == np.concatenate(tokens)).all()
        assert (opened.get_tensor("doc_ends") == doc_ends).all()
        assert opened.metadata()["split"] == "train"


def test_a_shard_without_documents_is_whole(tmp_path):
    none = np.array([], np.uint64), np.array([], np.uint32)
    write_shard(tmp_path / "a.safetensors", [np.zeros(3, np.uint16)], *none, {})
    assert len(read_shard(tmp_path / "a.safetensors").doc_ends) == 0


def test_equal_content_gives_equal_bytes(tmp_path):
    sums = {write_shard(tmp_path / f"{i}", *arrays(), {"b": "1", "a": "2", "c": str(i * 0)}) for i in range(5)}
    assert len(sums) == 1


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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")  # noqa: PTH110
def test_a_full_disk_is_said_and_leaves_no_stump(tmp_path):
    path = tmp_path / "a.safetensors"
    write_shard(path, *arrays(), {})
    before = path.read_bytes()
    (tmp_path / f".a.safetensors.tmp-{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(DiskError, match="the disk is full"):
        write_shard(path, *arrays(5000), {})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
