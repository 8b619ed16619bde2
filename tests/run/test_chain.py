"""Rows that are removed, repeated, exchanged or of another run are named by their lines; a cut leaves a sound chain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.run import append_row, cut_after_step, journal_lines, read_rows, rewrite_rows
from chainrule.run.journal import rows_before_damage, rows_from_end
from chainrule.run.line import sealed_lines


def journal(path, n=6, text="a"):
    for step in range(1, n + 1):
        append_row(path, {"step": step, "text": text})
    return path.read_bytes().splitlines(keepends=True)


def wrong(path, lines) -> str:
    path.write_bytes(b"".join(lines))
    return journal_lines(path).wrong


def test_a_gap_a_repeat_and_an_exchange_are_named_by_their_lines(tmp_path):
    a, b, c, d, e, f = journal(path := tmp_path / "m")
    assert wrong(path, [a, b, c, d, e, f]) == ""
    assert wrong(path, [a, b, d, e, f]) == "a row is missing before line 3 of m"
    assert wrong(path, [c, d, e, f]) == "2 rows are missing before line 1 of m"
    assert wrong(path, [a, c, f]) == "3 rows are missing before lines 2, 3 of m"
    assert wrong(path, [a, b, b, c, d, e, f]) == "line 3 of m repeats an earlier row"
    assert wrong(path, [a, b, c, a, b, c, d, e, f]) == "lines 4, 5, 6 of m repeat earlier rows"
    assert wrong(path, [a, c, b, d, e, f]) == "line 3 of m stands behind later rows"
    assert wrong(path, [f, b, c, d, e, a]) == "lines 2, 3, 4, 5, 6 of m stand behind later rows"
    assert wrong(path, [a, b, b"\xff\n", d, e, f]) == "line 3 of m is damaged", "whose row is known to be missing"
    assert wrong(path, [a, b, b"\xff\n", e, f]) == ("line 3 of m is damaged and a row is missing before line 4 of m")


def test_a_row_of_another_run_does_not_follow(tmp_path):
    a, b, c, d, *_ = journal(path := tmp_path / "m")
    _, y, *_ = journal(tmp_path / "other", text="b")
    # The row itself, and the one that does not follow it.
    assert wrong(path, [a, y, c, d]) == "lines 2, 3 of m were not written behind the row before"
    assert list(rows_before_damage(path)) == [{"step": 1, "text": "a"}]
    by_hand = b'{"step": 3, "text": "a"}\n'
    assert wrong(path, [a, b, by_hand, d]) == "line 3 of m was not written behind the row before"


def test_rows_of_old_are_followed_by_linked_ones(tmp_path):
    path = tmp_path / "m"
    path.write_bytes(b'{"step": 1}\n{"step": 2}\n')
    journal(path, 3)
    found = journal_lines(path)
    assert (found.wrong, found.n_rows, found.n_unlinked) == ("", 5, 2)
    lines = path.read_bytes().splitlines(keepends=True)
    assert wrong(path, [*lines[:2], *lines[3:]]) == "a row is missing before line 3 of m"


def test_half_a_line_and_a_damaged_last_line_are_followed_by_a_sound_chain(tmp_path):
    path = tmp_path / "m"
    whole = b"".join(journal(path, 3))
    for end in (whole + b'{"step": 4, "te', whole[:-9] + b"x" + whole[-8:]):
        path.write_bytes(end)
        append_row(path, {"step": 5})
        found = journal_lines(path)
        assert found.wrong == f"line {4 if end.startswith(whole) else 3} of m is damaged" and not found.gaps
    long = b"".join(journal(tmp_path / "long", 2, text="é" * 40_000))
    assert len(long) > 160_000 and journal_lines(tmp_path / "long").wrong == ""


def test_the_end_of_a_long_journal_is_looked_at_alone_and_its_lines_keep_their_numbers(tmp_path):
    lines = journal(path := tmp_path / "m", 40)
    size = sum(map(len, lines[30:]))
    assert wrong(path, [*lines[:35], *lines[36:]]) == "a row is missing before line 36 of m"
    assert journal_lines(path, most_bytes=size).wrong == "a row is missing before line 36 of m"
    path.write_bytes(b"".join([*lines[:5], *lines[6:]]))
    assert journal_lines(path, most_bytes=size).wrong == ""


steps = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@given(increments=steps, since=st.integers(0, 12), kinds=st.integers(0, 2**12))
def test_whatever_is_cut_what_stays_is_a_sound_chain(tmp_path_factory, increments, since, kinds):
    path, step = tmp_path_factory.mktemp("cut") / "m", 0
    for place, more in enumerate(increments):
        step += more
        append_row(path, {"kind": "ab"[kinds >> place & 1], "step": step})
    rewrite_rows(path, lambda row: row["kind"] == "a" or row["step"] < since, since=since)
    assert journal_lines(path).wrong == ""
    append_row(path, {"step": 99})
    assert journal_lines(path).wrong == "" and list(read_rows(path))[-1] == {"step": 99}
    assert list(rows_from_end(path))[::-1] == list(read_rows(path))


def test_a_cut_heals_no_gap(tmp_path):
    a, b, _c, d, e, f = journal(path := tmp_path / "m")
    path.write_bytes(b"".join([a, b, d, e, f]))
    rewrite_rows(path, lambda row: row["step"] != 5, since=2)
    assert journal_lines(path).wrong == "a row is missing before line 3 of m"
    assert [row["step"] for row in read_rows(path)] == [1, 2, 4, 6]
    cut_after_step(path, 2)
    append_row(path, {"step": 3})
    assert journal_lines(path).wrong == ""


def test_a_journal_written_at_once_is_the_one_written_row_by_row(tmp_path):
    rows = [{"step": 1}, {}, {"step": 2, "text": "é"}]
    for row in rows:
        append_row(tmp_path / "m", row)
    assert (tmp_path / "m").read_bytes() == sealed_lines(rows)
    assert list(read_rows(tmp_path / "m")) == rows


@pytest.mark.parametrize("place", range(6))
def test_every_removed_and_every_repeated_row_is_noticed_but_the_last(tmp_path, place):
    lines = journal(path := tmp_path / "m")
    # What is cut off at the end is known by who noted the end: tests/run/test_ends.py.
    assert bool(wrong(path, lines[:place] + lines[place + 1 :])) == (place < 5)
    assert wrong(path, [*lines[: place + 1], *lines[place:]])
