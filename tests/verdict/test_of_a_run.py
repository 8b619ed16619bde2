import math

import pytest

from chainrule.run import DataReport, EvalRow, Facts, RunFolder, Summary, TrainRow
from chainrule.run.records import Manifest
from chainrule.verdict import findings, judge_start
from chainrule.verdict.thresholds import START_TOLERANCE


def facts_of(tmp_path, *, looks=(), first=None, summary=None, epochs=0.0):
    return Facts(
        RunFolder(tmp_path),
        "finished",
        summary=Summary.of(summary or {}),
        data=DataReport(epochs=epochs),
        manifest=Manifest(vocab_size=512),
        train=[] if first is None else [TrainRow(1, loss=first)],
        held_out=[EvalRow(step, val_loss=loss, val_bits_per_byte=loss / 2) for step, loss in looks],
    )


def said(facts):
    return {(finding.mark, finding.sentence.split(":")[0].split(";")[0]) for finding in findings(facts)}


def marks(facts):
    return [finding.mark for finding in findings(facts)]


@pytest.mark.parametrize(("first", "mark"), [(math.log(512), "good"), (math.log(512) + 2, "bad"), (3.0, "note")])
def test_the_first_loss_is_held_against_guessing(tmp_path, first, mark):
    assert marks(facts_of(tmp_path, first=first)) == [mark]


def test_a_rising_held_out_loss_is_called_overfitting_with_its_step(tmp_path):
    looks = [(0, 6.0), (10, 3.0), (20, 2.5), (30, 2.6), (40, 2.8)]
    found = findings(facts_of(tmp_path, looks=looks))
    assert [finding.mark for finding in found] == ["bad"]
    assert "Overfitting since step 20: the held-out loss rose by 12.0% from its lowest" in found[0].sentence


def test_one_noisy_look_is_not_overfitting(tmp_path):
    assert "bad" not in marks(facts_of(tmp_path, looks=[(0, 6.0), (10, 2.5), (20, 2.49), (30, 2.53)]))


def test_a_curve_that_still_falls_asks_for_a_longer_run(tmp_path):
    found = findings(facts_of(tmp_path, looks=[(0, 6.0), (80, 3.0), (90, 2.8), (100, 2.7)]))
    assert "Still learning at the end: 10.0% less loss" in found[0].sentence


def test_a_flat_curve_says_nothing(tmp_path):
    assert findings(facts_of(tmp_path, looks=[(0, 6.0), (80, 3.0), (90, 3.0), (100, 2.99)])) == []


def test_baselines_are_passed_for_good_or_still_ahead(tmp_path):
    # Bits: 3, 1.5, 1.7, 1.4 (half the loss); 1.6 is undercut, lost again and then passed at step 30.
    looks = [(0, 6.0), (10, 3.0), (20, 3.4), (30, 2.8)]
    summary = {"baselines": {"bigram": 2.0, "gzip": 1.6, "xz": 1.2}}
    sentences = [finding.sentence for finding in findings(facts_of(tmp_path, looks=looks, summary=summary))]
    assert "It passed counting pairs of tokens by step 10, gzip -9 by step 30." in sentences
    assert any(sentence.startswith("Still ahead of it: xz -9e.") for sentence in sentences)


def test_skipped_steps_and_repeated_text_are_mentioned(tmp_path):
    found = findings(facts_of(tmp_path, summary={"n_skipped": 2}, epochs=3.0))
    assert [finding.mark for finding in found] == ["good", "note"]


def test_a_run_without_figures_has_no_findings(tmp_path):
    assert findings(facts_of(tmp_path)) == []


def test_what_more_time_would_give_stands_among_the_findings(tmp_path):
    told = {"minutes": 10, "bits_per_byte": 1.03, "low": 0.98, "high": 1.09}
    assert marks(facts_of(tmp_path, summary={"more_minutes": told})) == ["note"]
    assert marks(facts_of(tmp_path, summary={"more_minutes": None})) == []


@pytest.mark.parametrize("beyond", [-0.05, 0.05])
def test_report_and_running_trainer_agree_on_a_start(tmp_path, beyond):
    loss = math.log(512) + START_TOLERANCE + beyond
    assert findings(facts_of(tmp_path, first=loss)) == [judge_start(loss, 512)]
    assert (judge_start(loss, 512).mark == "good") == (beyond < 0)
