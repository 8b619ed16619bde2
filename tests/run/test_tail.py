"""A journal that is followed: new bytes alone, torn ends, cuts, replacements."""

import os
from pathlib import Path

import pytest

from chainrule.base import DiskError
from chainrule.run import Tail, append_row, cut_after_step, journal_lines


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def steps(tail: Tail) -> list[int]:
    rows, void = tail.read()
    assert not void
    return [row["step"] for row in rows]


def test_only_new_rows_are_read(journal: Path) -> None:
    tail = Tail(journal)
    assert steps(tail) == []
    for step in (1, 2):
        append_row(journal, {"step": step})
    assert steps(tail) == [1, 2] and steps(tail) == []
    append_row(journal, {"step": 3})
    assert steps(tail) == [3] and tail.behind == 0


def test_half_a_row_waits_for_its_other_half(journal: Path) -> None:
    tail = Tail(journal)
    journal.write_bytes(b'{"step": 1}\n{"st')
    assert steps(tail) == [1]
    with journal.open("ab") as stream:
        stream.write(b'ep": 2}\n')
    assert steps(tail) == [2]


def test_half_a_row_of_a_kill_is_passed_over(journal: Path) -> None:
    tail = Tail(journal)
    journal.write_bytes(b'{"step": 1}\n{"st')
    assert steps(tail) == [1]
    append_row(journal, {"step": 2})
    assert steps(tail) == [2]


def test_rows_that_are_missing_are_named_while_it_is_followed(journal: Path) -> None:
    tail = Tail(journal)
    for step in range(1, 8):
        append_row(journal, {"step": step})
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]))
    assert steps(tail) == [1, 2, 3] and tail.wrong == ""
    journal.write_bytes(b"".join([*lines[:3], *lines[5:]]))
    assert steps(tail) == [6, 7] and tail.wrong == "2 rows are missing before line 4 of journal.jsonl"
    journal.write_bytes(b"".join(lines))
    cut_after_step(journal, 1)
    assert tail.read() == ([{"step": 1}], True) and tail.wrong == ""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_pipe_in_its_place_is_not_waited_for(journal: Path) -> None:
    os.mkfifo(journal)
    assert Tail(journal).read() == ([], False)
    assert journal_lines(journal).wrong == "journal.jsonl is no file: a folder, a pipe, or a link that leads nowhere"
    with pytest.raises(DiskError, match="a pipe or a device stands in its place"):
        append_row(journal, {"step": 1})


def test_a_cut_is_noticed_although_the_journal_has_grown_beyond_it(journal: Path) -> None:
    tail = Tail(journal)
    for step in range(1, 20):
        append_row(journal, {"step": step, "loss": 1.5})
    assert len(steps(tail)) == 19
    cut_after_step(journal, 10)
    for step in range(11, 40):
        append_row(journal, {"step": step, "loss": 0.5})
    rows, void = tail.read()
    assert void and [row["step"] for row in rows] == list(range(1, 40))


def test_a_cut_and_a_journal_that_is_gone_void_what_was_read(journal: Path) -> None:
    tail = Tail(journal)
    for step in range(1, 20):
        append_row(journal, {"step": step})
    tail.read()
    cut_after_step(journal, 3)
    rows, void = tail.read()
    assert void and [row["step"] for row in rows] == [1, 2, 3]
    journal.unlink()
    assert tail.read() == ([], True) and tail.read() == ([], False)


def test_much_is_read_in_pieces(journal: Path) -> None:
    for step in range(1, 200):
        append_row(journal, {"step": step})
    tail, found = Tail(journal), list[int]()
    while tail.behind:
        rows, void = tail.read(100)
        assert not void
        found += [row["step"] for row in rows]
    assert found == list(range(1, 200))


def test_a_line_without_an_end_does_not_stop_what_follows(journal: Path) -> None:
    journal.write_bytes(b"x" * 1000)
    tail = Tail(journal)
    while tail.behind:
        assert tail.read(100) == ([], False)
    with journal.open("ab") as stream:
        stream.write(b'\n{"step": 1}\n')
    assert steps(tail) == [1]
