"""A classifier tells texts apart by their last token, and is judged on texts that it has not seen."""

import json

import numpy as np
import pytest
import torch
from finetune_models import made, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.base import ConfigError, DataError, MissingPackageError
from chainrule.cli import main
from chainrule.export import export
from chainrule.finetune.classifier import Classifier, LabelLoss, LabelWindows, encoded, predictions, shuffled_batches
from chainrule.finetune.classifier_report import Confusion
from chainrule.finetune.classifying import ClassifySettings, classify
from chainrule.finetune.labelled import LabelledText, checked, folded, judged_on, parted, read_labelled
from chainrule.model import Batch

WORDS = ("win", "cash", "now"), ("see", "you", "soon")


def texts(n=30, seed=0):
    """Two kinds of short texts, no two alike."""
    dice = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        kind = number % 2
        words = [*dice.choice(WORDS[kind], 3), str(number)]
        rows.append(LabelledText(" ".join(words), ("spam", "ham")[kind], f"rows:{number + 2}"))
    return rows


def written(path, rows):
    path.write_text("text,label\n" + "".join(f"{row.text},{row.label}\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def report():
    pytest.importorskip("sklearn")
    said = []
    model = opened(made("llama"))
    before = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    found = classify(model, texts(60), ClassifySettings(epochs=8, batch=8, lr=3e-3), say=said.append)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.model.state_dict().items())
    return found, said


def test_two_kinds_of_texts_are_told_apart_and_the_baseline_is_beside(report):
    found, said = report
    assert found.confusion.n == 12 and found.confusion.accuracy >= 0.9 and found.baseline.accuracy >= 0.9
    assert found.confusion.labels == ("ham", "spam") and found.how == "all" and found.seconds > 0
    low, high = found.confusion.interval
    assert 0.5 < low < found.confusion.accuracy <= high
    assert len(said) == 8 and said[-1].startswith("epoch 8 of 8: loss ")


@pytest.mark.parametrize("how", ["last", "lora"])
def test_what_learns_is_what_was_asked_for(how):
    found = classify(opened(made("gpt2")), texts(20), ClassifySettings(how, epochs=1, rank=2))
    model, head = made("gpt2"), 2 * 32 + 2
    last = sum(one.numel() for one in (*model.blocks[-1].parameters(), *model.final_norm.parameters()))
    adapter = 2 * 2 * ((32 + 96) + (32 + 32) + 2 * (32 + 128))
    assert found.how == how and found.n_learning == head + {"last": last, "lora": adapter}[how]


def test_folds_judge_every_text_once():
    found = classify(opened(made("llama")), texts(20), ClassifySettings(epochs=1, folds=5))
    assert found.confusion.n == found.n_rows == 20 and found.n_folds == 5 and found.baseline.n == 20


def test_without_scikit_learn_the_classifier_is_told_alone_and_what_to_install(monkeypatch):
    def absent(*_):
        raise MissingPackageError("the baseline of a classifier", "scikit-learn", "baseline")

    monkeypatch.setattr("chainrule.finetune.classifying.baseline_predictions", absent)
    said = []
    assert classify(opened(made("llama")), texts(12), ClassifySettings(epochs=1), say=said.append).baseline is None
    assert any("pip install 'chainrule[baseline]'" in line for line in said)


# --- the last token ---------------------------------------------------------------------------------------------------


def test_padding_and_neighbours_do_not_change_a_texts_scores():
    model = made("qwen3")
    classifier = Classifier(model, 3).eval()
    rows = [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10], [11]]
    together = classifier(Batch.of(LabelWindows.of([(row, 0) for row in rows])))
    for row, scores in zip(rows, together, strict=True):
        alone = classifier(Batch.of(LabelWindows.of([(row, 0)])))[0]
        last = classifier.head(model.stream(torch.tensor([row]))[0, -1])
        assert torch.allclose(scores, alone, atol=1e-5) and torch.allclose(alone, last, atol=1e-5)
    assert predictions(classifier, rows, 2) == together.argmax(1).tolist()


def test_the_loss_is_the_surprise_at_each_texts_label():
    classifier = Classifier(made("llama"), 3).eval()
    rows = [([1, 2, 3], 2), ([4, 5, 6, 7, 8], 0)]
    batch = Batch.of(LabelWindows.of(rows))
    expected = -classifier(batch).log_softmax(-1)[torch.arange(2), torch.tensor([2, 0])].mean()
    assert torch.allclose(LabelLoss(classifier).loss(batch), expected)
    assert LabelLoss(classifier).counted(LabelWindows.of(rows)) == 2


@settings(max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=80), st.integers(1, 7), st.integers(0, 5))
def test_an_epoch_has_every_text_once_with_its_label(lengths, size, seed):
    rows = [([number + 10] * length, number) for number, length in enumerate(lengths)]
    found = []
    for windows in shuffled_batches(rows, size, seed):
        batch = Batch.of(windows)
        assert len(batch) <= size
        for ids, marks, targets in zip(batch.inputs, batch.documents, batch.targets, strict=True):
            n = int((marks == 0).sum())
            found.append((ids[:n].tolist(), int(targets[n - 1])))
    assert sorted(found) == sorted(rows)


def test_a_text_stands_behind_an_end_of_text_and_a_long_one_is_cut_at_its_end():
    words = opened(made("llama")).tokenizer
    rows, n_cut = encoded(words, ["ab", "x" * 100], 32)
    assert rows[0] == [words.end_of_text, *words.encode("ab")] and len(rows[1]) == 32 and n_cut == 1


# --- parts ------------------------------------------------------------------------------------------------------------


@given(st.lists(st.sampled_from("abc"), min_size=9, max_size=60), st.integers(0, 9))
def test_parts_share_no_text_and_have_every_label(labels, seed):
    rows = [LabelledText(f"{number}", label) for number, label in enumerate([*"aaabbbccc", *labels])]
    parts = parted(rows, seed)
    pieces = (parts.training, parts.choosing, parts.asked)
    assert sorted(row.text for part in pieces for row in part) == sorted(row.text for row in rows)
    assert all({row.label for row in part} == set("abc") for part in pieces)
    assert parted(rows, seed) == parts
    asked = [row for fold in range(3) for row in folded(rows, seed, 3, fold).asked]
    assert sorted(row.text for row in asked) == sorted(row.text for row in rows)


def test_a_text_that_stands_there_twice_counts_once():
    rows = [*texts(10), *texts(3), LabelledText(texts(10)[0].text, "ham")]
    kept, said = checked(rows)
    assert kept == texts(10) and "left out: 4 texts" in said[0] and "1 of them with another label" in said[1]


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "there are no rows"),
        ([LabelledText(str(n), "ham") for n in range(9)], "all 9 texts are 'ham'"),
        ([*texts(9), LabelledText("  \n", "ham", "f.csv:11")], "f.csv:11: its text is empty"),
        ([*texts(9), LabelledText("x", "")], "row 10: its label is empty"),
        ([*texts(9), LabelledText("x", "rare")], "label 'rare' has 1 different texts"),
    ],
)
def test_rows_that_teach_nothing_are_refused_by_their_place(rows, words):
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        classify(opened(made("llama")), rows)


def test_a_label_that_is_only_judged_and_a_text_on_both_sides_are_refused():
    with pytest.raises(DataError, match=r"new:1: label 'spma' .*Did you mean 'spam'"):
        judged_on(texts(), [LabelledText("x", "spma", "new:1")], 0)
    with pytest.raises(DataError, match="the same text"):
        judged_on(texts(), [texts()[0]], 0)
    parts = judged_on(texts(), [LabelledText("x", "spam")], 0)
    assert len(parts.training) + len(parts.choosing) == 30 and len(parts.asked) == 1


@pytest.mark.parametrize("wrong", [{"how": "all-of-it"}, {"epochs": 0}, {"batch": 0}, {"folds": 1}, {"rank": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError):
        ClassifySettings(**wrong)
    with pytest.raises(ConfigError, match="either"):
        classify(opened(made("llama")), texts(), ClassifySettings(folds=2), judged=texts(3, 1))
    with pytest.raises(DataError, match="fewer than the 99 folds"):
        classify(opened(made("llama")), texts(), ClassifySettings(folds=99))


def test_a_file_without_the_columns_is_refused_by_its_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"txt": "b", "label": 2}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl:2 has no 'text', only txt, label\. Did you mean 'txt'"):
        read_labelled(path)
    path.write_text('{"sms": "a", "kind": true}\n')
    assert read_labelled(path, "sms", "kind") == [LabelledText("a", "True", f"{path}:1")]
    path.write_text('{"text": 3, "label": 1}\n')
    with pytest.raises(DataError, match="not a text"):
        read_labelled(path)
    path.write_text('{"text": \n')
    with pytest.raises(DataError, match="malformed"):
        read_labelled(path)


# --- figures ----------------------------------------------------------------------------------------------------------


def test_figures_are_those_that_scikit_learn_gives():
    metrics = pytest.importorskip("sklearn.metrics")
    dice = np.random.default_rng(3)
    truth, said = (dice.choice(["a", "b", "c"], 50, p=share) for share in ([0.7, 0.2, 0.1], [0.5, 0.4, 0.1]))
    found = Confusion.of(("a", "b", "c")).adding([LabelledText("", one) for one in truth], list(said))
    assert found.accuracy == pytest.approx(metrics.accuracy_score(truth, said))
    assert found.macro_f1 == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert np.array_equal(found.counts, metrics.confusion_matrix(truth, said))


# --- the verb ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("transformers")
    place = tmp_path_factory.mktemp("classify")
    export(opened(made("llama")), place / "model")
    return place


def test_the_verb_prints_figures_and_writes_json(folder, capsys, monkeypatch):
    rows = written(folder / "rows.csv", texts(24))
    monkeypatch.chdir(folder)
    words = ["classify", str(folder / "model"), rows, "--epochs", "1"]
    assert main(words) == 0
    told = capsys.readouterr()
    assert "right" in told.out and "macro-F1" in told.out and "TF-IDF" in told.out and "epoch 1 of 1" in told.err
    assert "saved in classifiers/rows; ask it: chainrule classify classifiers/rows --text" in told.err
    assert main([*words, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (
        figures["saved"] == "classifiers/rows-2"
        and figures["n"] == 4
        and figures["labels"] == ["ham", "spam"]
        and figures["baseline"]["n"] == 4
    )


def test_the_verb_refuses_with_exit_code_2_and_prints_no_text_raw(folder, capsys):
    bad = folder / "bad.csv"
    bad.write_text("text,label\n" + "".join(f"a{n},\x1b[31mred\n" for n in range(4)))
    assert main(["classify", str(folder / "model"), str(bad)]) == 2
    err = capsys.readouterr().err
    assert "at least two labels" in err and "\x1b" not in err
    rows = written(folder / "rows.csv", texts(24))
    test = written(folder / "test.csv", [LabelledText("x", "other")])
    assert main(["classify", str(folder / "model"), rows, "--judged", test]) == 2
    assert "'other'" in capsys.readouterr().err
