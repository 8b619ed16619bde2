"""The end of a run under a budget: as much as there is time for, at least a little, and it says how much it was."""

import json
import time
from dataclasses import replace

import pytest

from chainrule.base import ConfigError
from chainrule.run import Event, RunFolder, TrainRow, rows_of
from chainrule.train import pretrain
from chainrule.train.ending import SHARES, Amounts, Ending, ending_of
from chainrule.train.finish import LEAST_TOKENS, allowed, final_scoring, finish, score_held_out
from chainrule.train.stages import Start
from chainrule.train.start import anew
from chainrule.train.stop import Stop
from chainrule.train.text_lesson import TextLesson
from chainrule.train.watch import silent


@pytest.fixture(scope="module")
def ended(layers, tmp_path_factory):
    """Ends a run that was never trained when so many seconds are left (None: no budget); its session and summary.

    `likely` are the seconds that each part of the end is thought to take.
    """
    folder = tmp_path_factory.mktemp("ends")

    def make(left: float | None, likely: float = 2.0):
        run = RunFolder(folder / str(len(list(folder.iterdir()))))
        run.path.mkdir()
        with Stop() as stop:
            given = layers(training={"prompts": ["the "]}, text={"validation_share": 0.3})
            session = anew(Start(run, silent, stop, time.perf_counter(), TextLesson()), given, None)
            budget = session.budget
            budget.ending = Ending(dict.fromkeys(SHARES, likely), dict.fromkeys(SHARES, 20.0))
            budget.pace.costs = budget.pace.costs.__class__(0.01, 0.01, samples=2.0)
            budget.seconds = None if left is None else budget.clock.spent() + left
            return session, finish(session, begun=time.perf_counter(), before=None)

    return make


def test_an_end_that_is_late_scores_a_part_and_says_which(ended):
    # So little that no machine scores all of it: a tenth of what a part was thought to take is given to it.
    session, summary = ended(-100.0, likely=0.01)
    scored = summary.scored
    assert not scored.whole and 0 < scored.n_tokens < scored.of_tokens
    assert scored.n_bytes < scored.of_bytes
    again = score_held_out(session, session.dataset.split("validation"), final_scoring(session, scored.max_tokens))
    assert again.loss == summary.val_loss
    assert [part for part in SHARES if allowed(session, part) != pytest.approx(0.001)] == []
    for one in summary.completions:
        assert len(session.tokenizer.encode(one.text)) + one.cut <= 2 * LEAST_TOKENS
    written = json.loads(session.run.summary.read_text())["scored"]
    assert {name: value for name, value in written.items() if value is not None} == scored.row()


def test_an_end_without_a_budget_scores_all(ended):
    session, summary = ended(None)
    scored = summary.scored
    assert scored.whole and scored.n_tokens == scored.of_tokens
    assert scored.n_bytes == scored.of_bytes - 1  # a token is a byte here, and nothing predicts the first
    assert summary.baselines.whole and allowed(session, "score") == 20.0


def test_what_an_earlier_part_left_over_goes_to_the_later_ones(ended):
    session, _ = ended(None)
    budget = session.budget
    budget.seconds = budget.clock.spent() + 5.0
    # Five parts of two seconds in five seconds: one each; of the last, all that is left, up to its bound.
    assert allowed(session, "score") == pytest.approx(1.0, rel=0.1)
    assert allowed(session, "report") == pytest.approx(5.0, rel=0.1)


@pytest.mark.slow
def test_minutes_are_kept_though_text_preparation_and_baselines_are_large(tmp_path, layers):
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(600):
        words = (f"{number * place * 7919 % 100_003} {'abcdefghij'[place % 10]} sea" for place in range(3000))
        (texts / f"{number}.txt").write_text(" ".join(words))
    given = layers(text={"paths": [str(texts)], "validation_share": 0.2}, training={})
    given = [layer for layer in given if layer.source != "tiny"]
    began = time.perf_counter()
    summary = pretrain(given, tmp_path / "run", minutes=1.0)
    took = time.perf_counter() - began
    said = (tmp_path / "run" / "events.jsonl").read_text()
    # Late only where preparation ate the time, and then as late as was said.
    assert took <= 60 or "late" in said, (took, said)
    assert summary.status == "finished" and not summary.scored.whole


def test_a_task_that_is_none_is_refused_before_any_text_is_read(layers, tmp_path):
    with pytest.raises(ConfigError, match="is no task and no file"):
        pretrain(layers(training={"tasks": ["pairz"]}), tmp_path / "run")
    assert not (tmp_path / "run" / "data").exists()


def test_a_task_whose_file_goes_away_costs_no_run_its_summary(layers, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"good": "a b", "bad": "b a"}\n')
    asked = layers(training={"tasks": [str(pairs)]})
    summary = pretrain(asked, tmp_path / "asked")
    assert [(one.task, one.n) for one in summary.tasks] == [("pairs:pairs.jsonl", 1)]
    gone = pretrain(
        asked, tmp_path / "gone", watch=lambda row: isinstance(row, TrainRow) and pairs.unlink(missing_ok=True)
    )
    assert gone.status == "finished" and gone.tasks == ()
    assert any("put to no task" in one.message for one in rows_of(RunFolder(tmp_path / "gone").events, Event))


def test_what_the_end_will_take_follows_what_looks_took_and_never_what_is_kept_for_it() -> None:
    amounts = Amounts(held_out=60_000, again=0, train=10**6, text_bytes=10**6)
    ending = ending_of(amounts, budget=600.0, training=0.0, speed=30_000.0)
    usual, slow = ending.expected(1.0, 0.5), ending.expected(3.0, 0.5)
    assert slow - usual == pytest.approx(2 * ending.whole["score"])
    assert usual < ending.total
    crowded = ending_of(replace(amounts, held_out=10**9), budget=600.0, training=0.0, speed=30_000.0)
    assert crowded.expected(1.0, 0.5) < crowded.total <= sum(SHARES.values()) * 600
    assert Ending().expected(1.0, 0.5) == 0
