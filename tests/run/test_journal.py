"""Lines survive kills and are cut back on a resume."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.base import DiskError
from chainrule.run import append_row, cut_after_step, read_rows


def test_rows_come_back_in_order(tmp_path):
    rows = [{"step": step, "text": "é\n" * step} for step in range(5)]
    for row in rows:
        append_row(tmp_path / "m.jsonl", row)
    assert list(read_rows(tmp_path / "m.jsonl")) == rows


def test_nan_and_infinity_are_null_at_any_depth(tmp_path):
    append_row(tmp_path / "m", {"loss": float("nan"), "by": {"a": [float("inf"), 1.5]}, "pair": (float("-inf"), 2)})
    assert list(read_rows(tmp_path / "m")) == [{"loss": None, "by": {"a": [None, 1.5]}, "pair": [None, 2]}]


def test_half_a_letter_can_be_written(tmp_path):
    append_row(tmp_path / "m", {"text": "a\ud800"})
    assert len(list(read_rows(tmp_path / "m"))) == 1


@given(torn=st.integers(1, 40))
def test_a_torn_last_line_is_passed_over_and_cut(tmp_path_factory, torn):
    path = tmp_path_factory.mktemp("torn") / "m"
    for step in range(3):
        append_row(path, {"step": step, "loss": 1.0})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - min(torn, len(whole) // 3 - 1)])
    survivors = [row["step"] for row in read_rows(path)]
    assert survivors in ([0, 1], [0, 1, 2])
    cut_after_step(path, 5)
    append_row(path, {"step": 9})
    assert [row["step"] for row in read_rows(path)] == [*survivors, 9]


def test_rows_beyond_the_step_are_cut_and_counted(tmp_path):
    for step in range(6):
        append_row(tmp_path / "m", {"step": step})
    append_row(tmp_path / "m", {"message": "no step: kept"})
    assert cut_after_step(tmp_path / "m", 3) == 2
    assert [row.get("step") for row in read_rows(tmp_path / "m")] == [0, 1, 2, 3, None]


def test_nothing_is_cut_from_what_is_absent_or_within(tmp_path):
    assert cut_after_step(tmp_path / "m", 3) == 0
    append_row(tmp_path / "m", {"step": 1})
    before = (tmp_path / "m").stat().st_mtime_ns
    assert cut_after_step(tmp_path / "m", 3) == 0
    assert (tmp_path / "m").stat().st_mtime_ns == before


def test_an_absent_journal_has_no_rows(tmp_path):
    assert list(read_rows(tmp_path / "absent")) == []


def test_a_row_that_is_no_object_is_passed_over(tmp_path):
    (tmp_path / "m").write_text("[1]\n" + json.dumps({"step": 1}) + "\n")
    assert list(read_rows(tmp_path / "m")) == [{"step": 1}]


def test_a_folder_in_its_place_is_a_clear_error(tmp_path):
    with pytest.raises((DiskError, IsADirectoryError)):
        append_row(tmp_path, {"step": 1})
