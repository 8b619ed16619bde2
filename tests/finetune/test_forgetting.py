"""What a fine-tuning forgets is said while it happens, at its end and in the report, with what to change."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from finetune.conftest import write
from finetune.test_tune import tuned

from chainrule.finetune import TuningSettings
from chainrule.panel.plain import PlainLog
from chainrule.report.sections import learning
from chainrule.run import AnswersRow, Change, Event, LoraRecord, RunFolder, Summary, read_facts, read_summary, rows_of
from chainrule.verdict import findings

OLD = "the sea and the old man; "


@pytest.fixture(scope="module")
def teach(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[RunFolder, str]]:
    """Teaches a model short answers, and looks at the old text meanwhile; the run and what its plain log said."""

    def run(model: Path, question: str, answers: tuple[str, ...], **more: Any) -> tuple[RunFolder, str]:
        folder = tmp_path_factory.mktemp("forgetting")
        (folder / "texts").mkdir()
        for number in range(4):
            (folder / "texts" / f"{number}.txt").write_text(f"{OLD * 20}{number}\n")
        told = [{"prompt": f"{question} {n}", "completion": answer} for n in range(15) for answer in answers]
        rows = write(folder / "rows.jsonl", told)
        stream = io.StringIO()
        settings = TuningSettings(epochs=6, probe=False, base_text=(str(folder / "texts"),), **more)
        tuned(model, rows, folder / "run", settings, watch=PlainLog(stream).show)
        return RunFolder(folder / "run"), stream.getvalue()

    return run


@pytest.fixture(scope="module")
def learnt(base: Path, teach: Callable[..., tuple[RunFolder, str]]) -> tuple[RunFolder, str]:
    """A model that learns the old text, half of what it reads, beside its answers."""
    return teach(base, "say", ("red", "blue", "green"), replay=0.5)


@pytest.fixture(scope="module")
def forgot(learnt: tuple[RunFolder, str], teach: Callable[..., tuple[RunFolder, str]]) -> tuple[RunFolder, str]:
    """The same model, which then learns something else alone."""
    return teach(learnt[0].path, "ASK", ("YES!", "NO!", "77"))


def test_base_text_that_becomes_harder_is_said_while_it_happens_and_at_the_end(forgot: tuple[RunFolder, str]) -> None:
    run, said = forgot
    remedy = "Mix base text in (--replay 0.1), lower optimizer.lr, take fewer --epochs, or learn an adapter alone"
    lines = said.splitlines()
    notes = [place for place, line in enumerate(lines) if line.startswith("note: It forgets what it knew: base text")]
    end = next(place for place, line in enumerate(lines) if line.startswith("finished at step"))
    assert len(notes) in (1, 2) and notes[-1] < end, "once for each mark, however many looks there were"
    assert len(list(rows_of(run.metrics, AnswersRow))) > 2
    assert all(remedy in lines[place] and "bits per byte before" in lines[place] for place in notes)
    last = next(line for line in lines[end:] if line.startswith("forgetting: "))
    assert last.startswith("forgetting: It has forgotten what it knew: base text takes ") and remedy in last
    old = read_summary(run).old
    assert old is not None and f"{old.before:.3f} bits per byte before, {old.after:.3f} after" in last
    events = [event.message for event in rows_of(run.events, Event) if "It forgets" in event.message]
    assert len(events) == len(notes)


def test_the_report_and_the_run_say_it_too(forgot: tuple[RunFolder, str]) -> None:
    facts = read_facts(forgot[0])
    (found,) = (one for one in findings(facts) if one.kind == "forgetting")
    assert found.mark == "bad" and "--adapter lora" in found.remedy
    assert found.sentence in str(learning(facts))


def test_a_run_that_still_goes_on_is_judged_by_its_looks(forgot: tuple[RunFolder, str]) -> None:
    facts = replace(read_facts(forgot[0]), summary=Summary())
    (found,) = (one for one in findings(facts) if one.kind == "forgetting")
    assert (
        found.sentence.startswith("It forgets what it knew") and f"at step {facts.answers[-1].step}" in found.sentence
    )
    assert [one for one in findings(replace(facts, answers=facts.answers[:1])) if one.kind == "forgetting"] == []


def test_base_text_that_becomes_easier_is_not_forgotten(learnt: tuple[RunFolder, str]) -> None:
    run, said = learnt
    assert "It forgets" not in said
    assert "forgetting: It has forgotten nothing of base text: " in said
    (found,) = (one for one in findings(read_facts(run)) if one.kind == "forgetting")
    assert found.mark == "good" and not found.remedy


@pytest.mark.parametrize(
    ("after", "mark", "words"),
    [
        (1.0, "good", "forgotten nothing of"),
        (1.019, "good", "forgotten next to nothing (1.9% more bits) of"),
        (1.021, "note", "takes 2.1% more bits"),
        (1.099, "note", "takes 9.9% more bits"),
        (1.101, "bad", "takes 10.1% more bits"),
        (3.0, "bad", "takes 200% more bits"),
        (float("inf"), "bad", "more bits"),
        (float("nan"), "bad", "more bits"),
    ],
)
def test_planted_figures_have_the_mark_of_their_share(
    forgot: tuple[RunFolder, str], after: float, mark: str, words: str
) -> None:
    facts = read_facts(forgot[0])
    planted = replace(facts, summary=replace(facts.summary, old=Change(1.0, after)))
    (found,) = (one for one in findings(planted) if one.kind == "forgetting")
    assert (found.mark, words in found.sentence) == (mark, True), found.sentence


def test_what_was_done_already_is_raised_or_not_named(forgot: tuple[RunFolder, str]) -> None:
    facts = read_facts(forgot[0])
    assert facts.tuning is not None

    def remedy(**tuning: Any) -> str:
        changed = replace(facts, tuning=replace(facts.tuning, **tuning)) if tuning else replace(facts, tuning=None)
        return next(one.remedy for one in findings(changed) if one.kind == "forgetting")

    assert "Mix more base text in (--replay 0.2)" in remedy(replay=0.1)
    assert "--replay 0.5" in remedy(replay=0.4)
    assert "--replay" not in remedy(objective="dpo") and "Lower optimizer.lr" in remedy(objective="dpo")
    assert "--adapter" not in remedy(lora=LoraRecord(4))
    assert remedy().startswith("Mix old text in (--origin.old-share 0.1), lower optimizer.lr")
