from dataclasses import replace

import pytest

from chainrule.base import DataError
from chainrule.bench import Result, circumstances, read_results, results_page, row, rows, write_result
from chainrule.bench.contest import ContestResult, Reading, SideResult


def side(name, figures, losses=()):
    return SideResult(name, "words", tuple(Reading(figure, 2.0, 1.0, figure / 2, losses) for figure in figures))


def made(made="2026-03-01T10:20:30+00:00", kind="avx2", ours=(20.0, 30.0, 40.0), **changes):
    sides = (side("nanoGPT", (10.0, 10.0, 10.0), (3.0, 2.0)), side("<ours>", ours, (3.0, 1.5)))
    contests = (ContestResult("training 0.8M", "tokens/s", True, sides, ("losses agree",)),)
    machine, versions = {"cpu": "Some Core"}, {"python": "3.11", "torch": "2.13"}
    values = {"rounds": 3, "threads": 2, "short": False, "text": "t.txt", "machine": machine, "versions": versions}
    return Result("training", made, kind, **{**values, "waited": 0.02, "contests": contests, **changes})


def test_a_result_is_read_back_as_it_was_written_oldest_first(tmp_path):
    new, old = made(), made("2026-02-01T00:00:00+00:00", "amx")
    path = write_result(new, tmp_path)
    assert path == tmp_path / "avx2" / "training-20260301-102030.json"
    write_result(old, tmp_path)
    assert read_results(tmp_path) == [old, new]
    assert row(new)["contests"][0]["sides"][1]["readings"][2]["figure"] == 40.0


def test_a_file_that_is_no_result_is_named(tmp_path):
    path = write_result(made(), tmp_path)
    path.write_text(path.read_text().replace('"rounds": 3', '"rounds": "three"'))
    with pytest.raises(DataError, match=rf"{path.name} is no result of a benchmark \(rounds: .*move it away"):
        read_results(tmp_path)


def test_a_row_has_the_median_the_spread_and_how_many_times_as_good():
    first, second = rows(made().contests[0])
    assert first[:6] == ("nanoGPT", "10", "10", "10", "5", "1")
    assert second == ("<ours>", "30", "20", "40", "15", "3.00", "2.00", "4.00")


@pytest.mark.parametrize(
    ("changes", "words", "contended"),
    [
        ({}, "in 2% of the time;", False),
        ({"waited": 0.4}, "in 40% of the time: CONTENDED", True),
        ({"waited": None}, "load not known", False),
        ({"short": True}, "short: a trial, no figure", False),
    ],
)
def test_circumstances_say_the_machine_and_what_disturbed_it(changes, words, contended):
    result = replace(made(), **changes)
    assert words in circumstances(result) and "Some Core (avx2), 2 threads" in circumstances(result)
    assert result.contended is contended


def test_the_page_shows_each_class_over_time_and_no_trials():
    later = made("2026-03-09T00:00:00+00:00", ours=(50.0, 50.0, 50.0))
    trial = made("2026-03-10T00:00:00+00:00", ours=(999.0, 999.0, 999.0), short=True)
    shown = results_page([made(), later, trial, made(kind="amx")])
    assert shown.count("<h2>") == 2 and "training, avx2" in shown and "training, amx" in shown
    assert "999" not in shown and ">5.00<" in shown and "2026-03-09" in shown
    assert "<ours>" not in shown and "&lt;ours&gt;" in shown
    assert shown.count("<svg") == 4  # over time and losses, for both classes
    assert "No result yet" in results_page([trial])


def test_ratios_to_another_yardstick_are_not_laid_beside_each_other():
    """A result without the peer, whose yardstick is ours, and one where it is the only side."""
    alone = (ContestResult("training 0.8M", "tokens/s", True, (side("<ours>", (7.0,)), side("bfloat16", (14.0,))), ()),)
    other = replace(made("2026-02-02T00:00:00+00:00"), contests=alone)
    assert "bfloat16" not in results_page([other, made()])
    one = ContestResult("training 0.8M", "tokens/s", True, (side("<ours>", (7.0,)),), ())
    only = results_page([made(), replace(made("2026-03-09T00:00:00+00:00"), contests=(one,))])
    assert "nanoGPT" not in only and only.count("<svg") == 1
