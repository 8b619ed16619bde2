"""Far too little text is refused before anything slow; little text is said."""

import gzip

import pytest

from chainrule.base import DataError
from chainrule.config import Layer
from chainrule.plan import draft
from chainrule.train import amount
from chainrule.train.amount import check_amount, little_sentence


def given(path, **model):
    return draft([Layer("flags", {"text": {"paths": [str(path)]}, "model": model})], 5)


@pytest.mark.parametrize("content", ["Hello world.", "x" * 2000])
@pytest.mark.parametrize("folder", [False, True], ids=["named", "in a folder"])
def test_far_too_little_is_refused_by_its_size(tmp_path, content, folder):
    path = tmp_path / "a.txt"
    path.write_text(content)
    with pytest.raises(DataError, match=f"^{len(content):,} bytes are too little to train on; 100 kB is a start"):
        check_amount(given(tmp_path if folder else path))


def test_a_short_window_needs_little(tmp_path):
    (tmp_path / "a.txt").write_text("x" * 2000)
    check_amount(given(tmp_path, context_length=64))
    with pytest.raises(DataError, match=r"this model\.context_length needs 4,098"):
        check_amount(given(tmp_path, context_length=2048))


def test_what_is_packed_or_enough_or_missing_is_left_to_its_reader(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"x" * 10_000_000))
    check_amount(given(tmp_path))
    check_amount(given("python"))
    (tmp_path / "empty").mkdir()
    check_amount(given(tmp_path / "empty"))


def test_little_text_is_said_and_more_is_not():
    assert "200 kB" in little_sentence(200_000) or "195" in little_sentence(200_000)
    assert little_sentence(amount.LITTLE_BYTES) is None
