"""A classifier that was saved says what it said when it was judged, and a folder that is none is refused by name."""

import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from finetune.test_classify import texts
from finetune_models import made, opened

from chainrule.base import CheckpointError, ConfigError, DataError
from chainrule.checkpoint import base_fingerprint, open_model, read_tensors, write_tensors
from chainrule.cli import main
from chainrule.finetune import ClassifySettings, LabelledText, classify, open_classifier, predict
from chainrule.tokenizer import train_bpe

NEW = ["win cash now", "see you soon", "cash cash win \u2603"]


def taught(folder: Path, how: str = "all", family: str = "llama", **more):
    rows = [*texts(40), *(LabelledText(f"{n} \x1b[31m", "odd \x1b[31mone") for n in range(6) if more.get("odd"))]
    settings = ClassifySettings(how, epochs=4, batch=8, lr=3e-3, rank=2)
    return classify(opened(made(family)), rows, settings, judged=more.get("judged", ()), save=folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "spam"
    taught(folder)
    return folder


@pytest.fixture
def copied(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "spam"))


@pytest.mark.parametrize(("how", "family"), [("all", "llama"), ("last", "gpt2"), ("lora", "qwen3")])
def test_what_is_saved_says_what_was_judged(tmp_path, how, family):
    judged = texts(20, seed=5)
    report = taught(tmp_path / "out", how, family, judged=judged)
    found = predict(tmp_path / "out", [row.text for row in judged])
    assert report.confusion == report.confusion.of(("ham", "spam")).adding(judged, [one.label for one in found])
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in found)
    assert all(one.probability == max(one.probabilities.values()) >= 0.5 and not one.cut for one in found)


def test_the_folder_says_labels_base_and_figures(saved):
    told = json.loads((saved / "classifier.json").read_text())
    files = {"classifier.json", "classifier.safetensors", "tokenizer.json", "SHA256SUMS"}
    assert told["labels"] == ["ham", "spam"] and told["figures"]["n_rows"] == 40
    assert told["base"] == {"origin": "a test", "sha256": base_fingerprint(made("llama"))}
    assert {path.name for path in saved.iterdir()} == files
    again = open_classifier(saved)
    assert again.labels == ("ham", "spam") and again.figures == told["figures"] and str(saved) in again.origin


def test_a_text_says_the_same_alone_and_among_others_and_one_that_is_cut_says_so(saved):
    together = predict(saved, [*NEW, "win " * 40])
    for text, one in zip(NEW, together, strict=False):
        (alone,) = predict(open_classifier(saved), [text])
        assert alone.text == one.text == text and alone.label == one.label
        assert alone.probabilities == pytest.approx(one.probabilities, abs=1e-5)
    assert [one.cut for one in together] == [False, False, False, True]
    with pytest.raises(DataError, match="text 2 is empty"):
        predict(saved, ["a", " \n"])


def rewritten(folder: Path, **changes) -> None:
    path = folder / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def with_tensors(folder: Path, change) -> None:
    """Other tensors, of which the settings know the checksum."""
    tensors = read_tensors(folder / "classifier.safetensors")
    change(tensors)
    (folder / "classifier.safetensors").unlink()  # what was read lies in the old file
    with (folder / "classifier.safetensors").open("wb") as stream:
        rewritten(folder, weights_sha256=write_tensors(stream, tensors))


def cut(folder: Path) -> None:
    path = folder / "classifier.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def flipped(folder: Path) -> None:
    path = folder / "classifier.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


STRANGERS = {
    "cut weights": (cut, "classifier.safetensors is not a whole safetensors file"),
    "changed weights": (flipped, "its checksum is another"),
    "no weights": (lambda at: (at / "classifier.safetensors").unlink(), "not a whole safetensors file"),
    "cut settings": (lambda at: (at / "classifier.json").write_text('{"format": 1, "la'), "is not valid JSON"),
    "a list": (lambda at: (at / "classifier.json").write_text("[]"), "not what this version writes"),
    "another format": (lambda at: rewritten(at, format=2), r"not what this version writes \(format 1\)"),
    "no settings": (lambda at: (at / "classifier.json").unlink(), "is no classifier: it has no classifier.json"),
    "a label more": (
        lambda at: rewritten(at, labels=["ham", "spam", "eggs"]),
        r"head.weight has shape \[2, 32\]; its 3 labels ask for \[3, 32\]. The labels in classifier.json are not",
    ),
    "a label twice": (lambda at: rewritten(at, labels=["ham", "ham"]), "each once and at least two"),
    "labels that are none": (lambda at: rewritten(at, labels=[1, 2]), "each once and at least two"),
    "no head": (lambda at: with_tensors(at, lambda t: t.pop("head.bias")), "head.bias is missing"),
    "a strange tensor": (
        lambda at: with_tensors(at, lambda t: t.update(extra=torch.ones(2))),
        "there is no place for extra",
    ),
    "a weight less": (
        lambda at: with_tensors(at, lambda t: t.pop("model.final_norm.weight")),
        "final_norm.weight",
    ),
    "another model": (lambda at: rewritten(at, model={"emb_dim": 2**40, "n_heads": 1}), "larger than any memory"),
    "no model": (lambda at: rewritten(at, model={"emb_dim": -1}), "describes no model: .*emb_dim"),
    "another tokenizer": (
        lambda at: train_bpe(["Once upon a time " * 9], 260).save(at / "tokenizer.json"),
        "is not the tokenizer that the classifier learnt with",
    ),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_is_refused_by_name(copied, stranger):
    change, words = STRANGERS[stranger]
    (copied / "SHA256SUMS").unlink()  # else it says of each that it is not as it was saved
    change(copied)
    with pytest.raises((CheckpointError, ConfigError), match=words):
        open_classifier(copied)


def test_a_place_that_is_taken_is_said_before_anything_is_learnt(saved):
    with pytest.raises(ConfigError, match="exists and is not empty"):
        taught(saved)
    with pytest.raises(ConfigError, match="leave out folds or save"):
        classify(opened(made("llama")), texts(), ClassifySettings(folds=2), save=saved / "new")


def test_a_classifier_is_no_model_that_writes(saved):
    with pytest.raises(CheckpointError, match=r"holds a classifier; ask it: chainrule classify "):
        open_model(saved)


def test_the_verb_says_the_label_of_a_text_of_a_file_and_of_standard_input(saved, tmp_path, capsys, monkeypatch):
    assert main(["classify", str(saved), "--text", NEW[0]]) == 0
    told = capsys.readouterr().out.split()
    assert told[:3] == ["label", "probability", "spam"] and told[3].endswith("%") and told[4] == "ham"
    (tmp_path / "new.txt").write_text("\n".join([*NEW, "", ""]))
    assert main(["classify", str(saved), str(tmp_path / "new.txt"), "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [one["text"] for one in answers] == NEW and answers[0]["label"] == "spam"
    (tmp_path / "new.csv").write_text("sms,n\nsee you soon,1\n")
    assert main(["classify", str(saved), str(tmp_path / "new.csv"), "--text-column", "sms", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["text"] == "see you soon"
    monkeypatch.setattr("sys.stdin", io.StringIO("win cash now\n\nsee \x1b[31myou soon\n"))
    assert main(["classify", str(saved)]) == 0
    told = capsys.readouterr().out
    assert len(told.strip().splitlines()) == 3 and "\x1b" not in told


def test_a_label_that_would_colour_the_terminal_is_printed_as_text(tmp_path, capsys):
    taught(tmp_path / "odd", odd=True)
    assert main(["classify", str(tmp_path / "odd"), "--text", "5"]) == 0
    told = capsys.readouterr().out
    assert "odd" in told and "\x1b" not in told


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["SAVED", "--text", " "], "text 1 is empty"),
        (["SAVED", "--save", "x"], "is only asked: leave out --save"),
        (["SAVED", "--judged", "x.csv"], "is only asked: leave out --judged"),
        (["SAVED", "absent.txt"], "absent.txt"),
        (["SAVED", "absent.csv"], "absent.csv"),
        (["SAVED", "bytes.txt"], "bytes.txt is no UTF-8 text"),
        (["SAVED", "rows.csv", "--text", "a"], "both --text and rows.csv"),
        (["SAVED"], "standard input has no line with a text"),
        (["elsewhere", "--text", "a"], "elsewhere is no classifier that was saved; teach one"),
        (["elsewhere"], "teach one: chainrule classify elsewhere rows.csv"),
    ],
)
def test_the_verb_refuses_with_a_sentence(saved, tmp_path, capsys, monkeypatch, words, expected):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n \n"))
    (tmp_path / "bytes.txt").write_bytes(b"a\xff\n")
    assert main(["classify", *(str(saved) if word == "SAVED" else word for word in words)]) == 2
    assert expected in capsys.readouterr().err
