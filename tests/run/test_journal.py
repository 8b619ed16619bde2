"""Lines survive kills and are cut back on a resume."""

import json
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.base import DiskError
from chainrule.run import append_row, cut_after_step, journal_lines, read_rows, rewrite_rows, rows_from_end


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


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE")
def test_a_line_of_which_the_disk_took_a_part_leaves_nothing(tmp_path):
    import resource

    append_row(tmp_path / "m", {"step": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (24, before[1]))
    try:
        with pytest.raises(DiskError, match="larger than allowed"):
            append_row(tmp_path / "m", {"step": 2, "text": "a" * 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    append_row(tmp_path / "m", {"step": 3})
    assert [row["step"] for row in read_rows(tmp_path / "m")] == [1, 3]


def test_a_line_behind_half_a_line_is_one_of_its_own(tmp_path):
    (tmp_path / "m").write_bytes(b'{"step": 1}\n{"ste')
    append_row(tmp_path / "m", {"step": 2})
    assert [row["step"] for row in read_rows(tmp_path / "m")] == [1, 2]


def test_damaged_lines_are_named_up_to_what_is_made_again(tmp_path):
    assert not journal_lines(tmp_path / "absent").wrong
    bad = b'{"step": 1, "lo\n', b"[]\n", b'{"step": "2"}\n', b"\xff\n"
    (tmp_path / "m").write_bytes(b'{"step": 1}\n'.join(bad) + b'{"step": 5}\n' + bad[0] + b'{"torn')
    found = journal_lines(tmp_path / "m")
    assert (found.damaged, found.torn, found.n_rows, found.n_unsealed) == ((1, 3, 5, 7, 9), 10, 4, 4)
    assert found.wrong == (
        "lines 1, 3, 5, 7, 9 of m are damaged and the last line of m (10) is half written, as a kill leaves it"
    )
    assert journal_lines(tmp_path / "m", before=5).damaged == (1, 3, 5, 7)


def test_each_flipped_bit_of_a_row_leaves_it_out_or_leaves_it_as_it_was(tmp_path):
    row = {"kind": "eval", "step": 40, "val_loss": 4.125, "text": "é"}
    append_row(tmp_path / "m", {"step": 1})
    head = (tmp_path / "m").read_bytes()
    append_row(tmp_path / "m", row)
    whole = (tmp_path / "m").read_bytes()
    for place in range(8 * len(head), 8 * len(whole)):
        content = bytearray(whole)
        content[place // 8] ^= 1 << place % 8
        (tmp_path / "m").write_bytes(bytes(content))
        lines, rows = journal_lines(tmp_path / "m"), list(read_rows(tmp_path / "m"))
        if rows[1:]:
            # Only the name of the checksum can be hit without harm: then the row is one of those without.
            assert {key: rows[1][key] for key in row} == row and lines.n_unsealed + (lines.torn is None) >= 1
        else:
            assert lines.damaged == (2,) or lines.torn == 2


def test_a_row_that_was_edited_by_hand_is_named_and_stays_in_the_file(tmp_path):
    path = tmp_path / "m"
    for step in (1, 2, 3, 5):
        append_row(path, {"step": step, "val_loss": 4.0})
    edited = path.read_bytes().replace(b'"step": 2, "val_loss": 4.0', b'"step": 2, "val_loss": 1.0')
    path.write_bytes(edited)
    assert [row["step"] for row in read_rows(path)] == [1, 3, 5] == [row["step"] for row in rows_from_end(path)][::-1]
    assert journal_lines(path).wrong == "line 2 of m is damaged"
    assert cut_after_step(path, 3) == 1
    assert path.read_bytes() == b"".join(edited.splitlines(keepends=True)[:3])
    path.write_bytes(path.read_bytes().replace(b'"step": 3, ', b'"step": 4, '))
    assert cut_after_step(path, 2) == 0 and path.read_bytes().count(b"\n") == 3, "whose step is not known stays"


def test_a_checksum_that_is_not_the_end_of_a_line_is_an_edit(tmp_path):
    append_row(tmp_path / "m", {"step": 1})
    (tmp_path / "m").write_bytes((tmp_path / "m").read_bytes().replace(b"}", b" }"))
    assert not list(read_rows(tmp_path / "m")) and journal_lines(tmp_path / "m").damaged == (1,)


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


rows = st.lists(st.one_of(st.none(), st.integers(0, 3)), max_size=40)


def written(path, increments, torn=0):
    """A journal whose steps rise so; None is a row without a step, `torn` bytes of its end are gone."""
    step, made = 0, []
    for more in increments:
        step += more or 0
        made.append({"text": "é\n" * (step % 7)} if more is None else {"kind": "ab"[step % 2], "step": step})
    for row in made:
        append_row(path, row)
    if torn and made:
        path.write_bytes(path.read_bytes()[:-torn])
    return made


@given(increments=rows, block=st.integers(1, 50), torn=st.integers(0, 6))
def test_rows_from_the_end_are_the_rows_turned_round(tmp_path_factory, increments, block, torn):
    path = tmp_path_factory.mktemp("end") / "m"
    written(path, increments, torn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.run.journal.BLOCK_BYTES", block)
        for kind in (None, "a"):
            assert list(rows_from_end(path, kind))[::-1] == list(read_rows(path, kind))


@given(increments=rows, since=st.integers(0, 60), torn=st.integers(0, 6))
def test_cutting_the_end_is_cutting_the_whole(tmp_path_factory, increments, since, torn):
    path = tmp_path_factory.mktemp("cut") / "m"
    written(path, increments, torn)
    whole = list(read_rows(path))
    kept = [row for row in whole if row.get("step", 0) < since]
    assert rewrite_rows(path, lambda row: row.get("step", 0) < since, since=since) == len(whole) - len(kept)
    assert list(read_rows(path)) == kept
    if path.is_file():
        append_row(path, {"step": 99})
        assert list(read_rows(path)) == [*kept, {"step": 99}]


def test_the_head_of_a_long_journal_is_neither_read_nor_held(tmp_path):
    path = tmp_path / "m"
    line = json.dumps({"kind": "train", "step": 1, "loss": 3.14159, "text": "x" * 100}) + "\n"
    path.write_text("not even JSON\n" * 3 + line * 40_000)
    for step in range(2, 12):
        append_row(path, {"kind": "train", "step": step})
    size = path.stat().st_size
    tracemalloc.start()
    try:
        assert cut_after_step(path, 8) == 3
        assert next(rows_from_end(path, "train"))["step"] == 8
        assert tracemalloc.get_traced_memory()[1] < 1_000_000 < size
    finally:
        tracemalloc.stop()


BOUNDED = """
import resource, sys
from itertools import islice
from pathlib import Path
path = Path(sys.argv[1])
from chainrule.run import cut_after_step, journal_lines, read_rows, rows_from_end
own = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmSize"))) * 1024
resource.setrlimit(resource.RLIMIT_AS, (own + 100_000_000, own + 100_000_000))
assert cut_after_step(path, 999_990) == 11
assert len(list(islice(rows_from_end(path, "train"), 64))) == 64
assert sum(1 for _ in read_rows(path, "eval")) == 99
assert sum(1 for _ in read_rows(path)) == 1_000_089
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on memory needs RLIMIT_AS and /proc")
def test_a_million_rows_are_read_and_cut_in_a_hundred_megabytes(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with path.open("w") as stream:
        for step in range(1, 1_000_001):
            row = {"kind": "train", "step": step, "tokens": step * 2048, "seconds": step * 0.1, "loss": 3.14159}
            stream.write(json.dumps({**row, "lr": 4e-3, "grad_norm": 0.5, "tokens_per_second": 20480.0}) + "\n")
            if step % 10_000 == 0:
                stream.write(json.dumps({"kind": "eval", "step": step, "val_loss": 3.2}) + "\n")
    done = subprocess.run([sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
