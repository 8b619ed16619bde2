"""Rows that were exchanged, moved or repeated are read by their steps and each once, and cut wherever they stand."""

import random
from pathlib import Path

import pytest

from chainrule.run import EvalRow, Tail, TrainRow, append_row, cut_after_step, journal_lines, last_record, rows_of
from chainrule.run.journal import read_rows, rows_from_end

STEPS = list(range(1, 9))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "metrics.jsonl"


def lines_of(path: Path, steps=STEPS) -> list[bytes]:
    for step in steps:
        append_row(path, {"kind": "train", "step": step, "tokens": 10 * step, "loss": 9.0 - step})
        if step % 4 == 0:
            append_row(path, {"kind": "eval", "step": step, "tokens": 10 * step, "val_loss": 5.0})
    return path.read_bytes().splitlines(keepends=True)


def spoiled(lines: list[bytes], chance: random.Random) -> list[bytes]:
    """Two lines exchanged, one moved, one repeated, a stretch repeated: some of it."""
    lines = list(lines)
    for _ in range(chance.randint(1, 3)):
        one, other = sorted(chance.sample(range(len(lines)), 2))
        match chance.randrange(4):
            case 0:
                lines[one], lines[other] = lines[other], lines[one]
            case 1:
                lines.insert(other, lines.pop(one))
            case 2:
                lines.insert(chance.randrange(len(lines) + 1), lines[one])
            case _:
                lines += lines[one:other]
    return lines


@pytest.mark.parametrize("seed", range(40))
def test_whatever_was_exchanged_moved_or_repeated_is_read_as_it_was_written(path, seed):
    lines = lines_of(path)
    intact = sorted(lines)
    bad = spoiled(lines, random.Random(seed))
    path.write_bytes(b"".join(bad))
    assert sorted(set(bad)) == intact
    assert [row.step for row in rows_of(path, TrainRow)] == STEPS
    assert [row.step for row in rows_of(path, EvalRow)] == [4, 8]
    assert len(list(read_rows(path))) == 10
    last = last_record(path, TrainRow)
    assert last is not None and last.step == 8
    assert [row["step"] for row in rows_from_end(path, "train")] == STEPS[::-1]
    followed, _ = Tail(path).read()
    assert [row["step"] for row in followed if row["kind"] == "train"] == STEPS
    assert bool(journal_lines(path).wrong) == (bad != lines), "and it is said"


@pytest.mark.parametrize("seed", range(40))
def test_a_resume_takes_away_later_rows_wherever_they_stand_and_no_earlier_one(path, seed):
    path.write_bytes(b"".join(spoiled(lines_of(path), random.Random(seed))))
    cut_after_step(path, 5)
    assert [row.step for row in rows_of(path, TrainRow)] == STEPS[:5]
    lines_of(path, STEPS[5:])
    assert [row.step for row in rows_of(path, TrainRow)] == STEPS
    assert [row.loss for row in rows_of(path, TrainRow)] == [9.0 - step for step in STEPS]
    assert [row.step for row in rows_of(path, EvalRow)] == [4, 8]


def test_a_row_behind_an_early_one_that_was_put_at_the_end_has_a_number_of_its_own(path):
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines, lines[1], b'{"kind": "train", "step": 3}\n']))
    append_row(path, {"kind": "train", "step": 9})
    assert b'"row": 11,' in path.read_bytes().splitlines()[-1]
    assert [row.step for row in rows_of(path, TrainRow)][-1] == 9


def test_a_page_that_follows_gives_no_row_twice_and_none_backwards(path):
    tail, lines = Tail(path), lines_of(path)
    path.write_bytes(b"".join(lines[:3] + lines[4:6]))
    first, _ = tail.read()
    with path.open("ab") as stream:
        stream.writelines([lines[2], lines[3], lines[7], lines[6], lines[7], *lines[8:]])
    then, void = tail.read()
    assert not void
    # Row 4 came when later ones had been given: it is named, and not drawn.
    told = [row["step"] for row in first + then if row["kind"] == "train"]
    assert told == [1, 2, 3, 5, 6, 7, 8]
    assert "repeat" in tail.wrong and "stand behind later rows" in tail.wrong


def test_lines_without_numbers_are_believed_as_they_stand(path):
    path.write_bytes(b'{"kind": "train", "step": 2}\n{"kind": "train", "step": 1}\n')
    assert [row.step for row in rows_of(path, TrainRow)] == [2, 1]


def test_a_damaged_number_is_none(path):
    lines = lines_of(path)
    lines[3] = lines[3].replace(b'"row": 4', b'"row": 999999')
    path.write_bytes(b"".join(lines))
    assert [row.step for row in rows_of(path, TrainRow)] == [1, 2, 3, 5, 6, 7, 8]
