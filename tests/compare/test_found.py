"""What is said of runs side by side: paired seeds, the same held-out bytes, equal cost; and what is left unsaid."""

import json
import shutil

import pytest

from chainrule.base import ConfigError, RunError
from chainrule.compare import compare_runs
from chainrule.compare.curves import at_equal
from chainrule.run import RunFolder, read_summary
from chainrule.verdict import paired

pytestmark = pytest.mark.xdist_group("compared")


def of(folder, *names):
    return compare_runs([RunFolder(folder / name) for name in names])


def final(folder, name):
    return read_summary(RunFolder(folder / name)).val_bits_per_byte


def test_runs_that_differ_by_the_seed_alone_count_together_and_are_paired(trained):
    found = of(trained, "a0", "b0")
    assert [[one.run.name for one in group.members] for group in found.groups] == [["a0", "a1"], ["b0", "b1"]]
    (judged,) = found.judged
    values = [{seed: final(trained, f"{name}{seed}") for seed in (0, 1)} for name in "ab"]
    assert judged.difference == paired(*values)
    assert "from 2 pairs of equal seeds" in judged.verdict.text
    assert found.settings == {"optimizer.lr": {"a0": 0.01, "b0": 0.03}}
    json.dumps(found.row(), allow_nan=False)


def test_curves_are_held_against_each_other_at_equal_cost(trained):
    found = of(trained, "a0", "b0")
    assert [mark.at for mark in found.marks["tokens"]] == [0, 128, 256, 384, 512]
    last = found.marks["tokens"][-1]
    assert last.apart["b0"].mean == pytest.approx(last.bits["b0"].mean - last.bits["a0"].mean)
    assert last.bits["a0"].spread > 0 and last.apart["b0"].spread is not None
    per_token = found.groups[0].flops_per_token
    assert [mark.at for mark in found.marks["flops"]] == [mark.at * per_token for mark in found.marks["tokens"]]
    assert found.marks["seconds"][0].at == 0


def test_marks_are_where_all_runs_have_been():
    lines = {"a": {0: [(0, 4.0), (10, 2.0)], 1: [(0, 5.0), (10, 3.0)]}, "b": {1: [(5, 3.0), (20, 1.0)]}}
    marks = at_equal(lines)
    assert [mark.at for mark in marks] == [10]
    assert marks[0].bits["a"].mean == 2.5 and marks[0].bits["b"].spread is None
    assert marks[0].apart["b"].mean == pytest.approx(3 - 2 / 3 - 3)  # against seed 1 alone
    assert at_equal({"a": {0: []}, "b": {0: [(0, 1.0)]}}) == []
    assert at_equal({"a": {0: [(0, 1.0), (1, 1.0)]}, "b": {0: [(2, 1.0), (3, 1.0)]}}) == []


def test_another_vocabulary_is_judged_on_the_same_bytes_and_another_text_is_not(trained, train, write_text, tmp_path):
    assert of(trained, "a0", "bytes").held_out.same
    train(tmp_path / "other", text=write_text(tmp_path / "text", 1))
    shutil.copytree(trained / "a0", tmp_path / "a0")
    found = of(tmp_path, "a0", "other")
    assert not found.held_out.same and found.judged[0].difference is None
    assert "different held-out bytes" in found.judged[0].verdict.text
    assert all(marks == [] for marks in found.marks.values())
    shutil.rmtree(tmp_path / "other" / "data")
    assert "cannot be told (other: its data folder is gone)" in of(tmp_path, "a0", "other").held_out.said


def test_two_seeds_of_one_recipe_are_noise_by_themselves(trained):
    found = of(trained, "a0", "a1")
    assert "differ by the seed alone" in found.judged[0].verdict.text
    assert [len(group.members) for group in found.groups] == [1, 1]


def test_three_runs_are_held_against_the_first_with_wider_intervals(trained):
    found = of(trained, "a0", "b0", "bytes")
    assert [(one.first, one.second) for one in found.judged] == [("a0", "b0"), ("a0", "bytes")]
    assert found.judged[0].difference.confidence == 0.975
    assert found.judged[1].difference.n == 1 and "single seed cannot tell" in found.judged[1].verdict.text
    assert any("Bonferroni" in note for note in found.notes)


def test_of_a_run_that_has_not_ended_no_final_figure_is_compared(trained, tmp_path):
    for name in ("a0", "b0"):
        shutil.copytree(trained / name, tmp_path / name)
    (tmp_path / "b0" / "summary.json").unlink()
    found = of(tmp_path, "a0", "b0")
    assert found.judged[0].difference is None
    assert "b0 has not finished; at 512 tokens" in found.judged[0].verdict.text


def test_runs_of_one_name_are_told_apart_by_their_folders(trained, tmp_path):
    shutil.copytree(trained / "a0", tmp_path / "a0")
    found = compare_runs([RunFolder(trained / "a0"), RunFolder(tmp_path / "a0")])
    assert [group.name for group in found.groups] == [str(trained / "a0"), str(tmp_path / "a0")]


def test_what_cannot_be_compared_is_refused(trained, tmp_path):
    with pytest.raises(RunError, match="two or more different runs"):
        of(trained, "a0", "a0")
    shutil.copytree(trained / "a0", tmp_path / "tuned")
    (tmp_path / "tuned" / "tuning.json").write_text('{"source": "x"}')
    with pytest.raises(ConfigError, match="tuned is a fine-tuning"):
        compare_runs([RunFolder(trained / "a0"), RunFolder(tmp_path / "tuned")])
