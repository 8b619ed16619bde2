"""A ladder on a tiny model: rungs, a prediction that stands before the top is trained, and what is kept by a signal."""

import json
import random
import signal

import pytest

from chainrule.base import ConfigError, RunError
from chainrule.cli import main
from chainrule.config import Layer
from chainrule.ladder import Climbed, climb, ladder_tables, resume_climb, row_of, rungs, write_ladder_page
from chainrule.ladder.climbing import LadderFolder
from chainrule.plan import choice
from chainrule.run import Record, TrainRow, read_rows

pytestmark = pytest.mark.xdist_group("ladder")

TINY = {
    "model": {"vocab_size": 257, "context_length": 16, "emb_dim": 64, "n_heads": 2, "n_layers": 2, "drop_rate": 0.0},
    "vocabulary": {"kind": "bytes"},
    "optimizer": {"kind": "adamw", "lr": 2e-3},
    "training": {"batch_tokens": 256},
    "machine": {"device": "cpu", "precision": "float32", "threads": 1},
}


@pytest.fixture(scope="module", autouse=True)
def short():
    """Few and short trainings, however fast the machine is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(choice, "tokens_per_second", lambda *_: 3e5)
        patched.setattr(rungs, "N_LONGER", 1)
        patched.setattr(rungs, "LEAST_BATCH", 256)
        yield patched


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    folder, chance = tmp_path_factory.mktemp("texts") / "words", random.Random(0)
    folder.mkdir()
    for number in range(40):
        words = " ".join(chance.choice(("the", "sea", "old", "man", "said", "home")) for _ in range(60))
        (folder / f"{number}.txt").write_text(f"{words}\n", encoding="utf-8")
    return [Layer("tiny", TINY), Layer("text", {"text": {"paths": [str(folder)], "near_duplicates": "keep"}})]


@pytest.fixture(scope="module")
def interrupted(layers, short, tmp_path_factory) -> tuple[LadderFolder, Climbed, Climbed]:
    """A ladder that a signal ends after two rungs, and the same gone on with."""
    path = tmp_path_factory.mktemp("ladders") / "ladder"
    sent: list[int] = []

    def watch(record: Record) -> None:
        if isinstance(record, TrainRow) and not sent and len(LadderFolder(path).climbs()) == 2:
            sent.append(record.step)
            signal.raise_signal(signal.SIGINT)

    first = climb(layers, path, minutes=0.02, times=4.0, n_rungs=3, watch=watch)
    return LadderFolder(path), first, resume_climb(path)


def test_a_signal_keeps_what_is_done_and_says_nothing_of_the_top(interrupted):
    _, first, _ = interrupted
    assert first.status == "interrupted" and first.signal == signal.SIGINT
    assert len(first.climbs) == 2 and first.prediction is None and first.measured is None


def test_going_on_trains_what_is_missing_foretells_and_trains_the_top(interrupted):
    folder, first, found = interrupted
    assert found.status == "finished" and found.climbs[:2] == first.climbs
    assert len(found.climbs) == 4 and found.measured is not None and found.measured.rung == found.top
    said = found.prediction
    assert said and said.low <= said.bits <= said.high
    assert found.covered == (said.low <= found.measured.bits <= said.high)
    assert found.error == found.measured.bits / said.bits - 1
    assert max(one.rung.compute for one in found.climbs) < found.top.compute
    assert [row["rung"]["name"] for row in read_rows(folder.rungs)][-1] == "top"
    # The prediction was written before the top was: it is of an earlier time than the top's own run.
    assert folder.ladder.stat().st_mtime <= (folder.run("top").path / "summary.json").stat().st_mtime


def test_the_page_and_the_table_have_every_rung(interrupted):
    _, _, found = interrupted
    ((_, heads, rows, _),) = ladder_tables(found)
    assert len(rows) == 5 and all(len(row) == len(heads) for row in rows)
    page = write_ladder_page(found).read_text()
    assert all(one.rung.name in page for one in found.climbs) and "<svg" in page and "https:" not in page
    assert json.loads(json.dumps(row_of(found)))["measured"] == found.measured.bits


def test_a_done_ladder_is_shown_again_without_training(interrupted, capsys):
    folder, _, found = interrupted
    assert main(["ladder", "--resume", str(folder.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["measured"] == found.measured.bits and told["foretold"]["bits"] == found.prediction.bits


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"minutes": 0.0}, "no time"),
        ({"times": 1.0}, "times=1"),
        ({"n_rungs": 2}, "rungs=2"),
    ],
)
def test_a_ladder_that_tells_nothing_is_refused_and_leaves_nothing(layers, tmp_path, given, word):
    with pytest.raises(ConfigError, match=word):
        climb(layers, tmp_path / "ladder", **given)
    assert not (tmp_path / "ladder").exists()


def test_what_is_no_ladder_is_not_gone_on_with(tmp_path):
    with pytest.raises(RunError, match="no ladder to go on with"):
        resume_climb(tmp_path)
    (tmp_path / "ladder.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        resume_climb(tmp_path)


@pytest.mark.parametrize("arguments", [["--resume"], ["--resume", "a", "--minutes", "3"], ["nowhere.txt"], []])
def test_the_command_refuses_what_makes_no_sense(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["ladder", *arguments]) == 2
    assert capsys.readouterr().err.startswith("chainrule: ")


@pytest.mark.parametrize("verb", ["ladder", "tune"])
def test_what_a_resume_would_not_follow_is_refused_by_the_word_that_was_typed(verb, capsys):
    for typed in (["--optimizer.lr", "0.1"], ["--preset", "cpu_small"], ["--name", "a"]):
        assert main([verb, "nosuch", "--resume", *typed]) == 2
        assert f"leave out {typed[0]}" in capsys.readouterr().err
    assert main([verb, "nosuch", "--resume"]) == 2
    assert "nosuch holds no" in capsys.readouterr().err
