"""Bad rows, bad numbers and things that are not there, by the real command: one sentence, exit code 2, no run begun."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from finetune.conftest import make_base
from talking import base, instructed, saved

from chainrule.cli import main
from chainrule.run import RunFolder, read_tuning

FAST = ["--no-probe", "--adapter", "none", "--machine.threads", "1", "--machine.precision", "float32"]
GOOD = [{"prompt": f"say {n}", "completion": "red"} for n in range(12)]
LABELLED = "text,label\n" + "".join(f"t{n},{'ab'[n % 2]}\n" for n in range(12))
FAILING = "{{ raise_exception('no') }}"
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run to teach, a base model, one that can be talked to, and three whose templates are bad."""
    folder = tmp_path_factory.mktemp("bad_input")
    make_base(folder / "runs" / "small")
    saved(base(), folder / "plain")
    saved(instructed(), folder / "chatty")
    for name, template in (("failing", FAILING), ("endless", ENDLESS), ("broken", "{% if %}")):
        (saved(instructed(), folder / name) / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture
def here(models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(models)
    monkeypatch.setattr("sys.stdin", io.StringIO("hi\n"))
    return models


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What is said last; nothing but a sentence, and no traceback."""
    before = set(Path("runs").iterdir())
    assert main(list(words)) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told and set(Path("runs").iterdir()) == before
    return told


def rows_of(*rows: Any) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


QUESTION, ANSWER = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
ROWS = {
    "no turn of the assistant": (
        rows_of(*GOOD, {"messages": [QUESTION]}),
        "jsonl:13: has no turn of the assistant",
    ),
    "roles out of order": (
        rows_of(*GOOD, {"messages": [ANSWER, QUESTION]}),
        "jsonl:13: its roles are out of order",
    ),
    "an unknown role": (
        rows_of(*GOOD, {"messages": [{**QUESTION, "role": "king"}]}),
        "role 'king' is unknown",
    ),
    "an empty question": (rows_of(*GOOD, {"prompt": "", "completion": "x"}), "message 1, the user's, is empty"),
    "an empty answer": (rows_of(*GOOD, {"prompt": "x", "completion": " "}), "message 2, the assistant's, is empty"),
    "empty texts": (rows_of(*[{"text": ""}] * 3), "rows.jsonl:1: its text is empty"),
    "all too long": (
        rows_of(*({**one, "completion": "b" * 500} for one in GOOD)),
        "12 of 12 rows (100%) cannot be taught",
    ),
    "one row": (rows_of(GOOD[0]), "at least two are needed"),
    "one row again and again": (rows_of(*[GOOD[0]] * 9), "9 examples, 1 of them different"),
    "invalid JSON": (rows_of(GOOD[0]) + '{"prompt": \n', "rows.jsonl:2: malformed JSON"),
    "a number for a text": (rows_of(*GOOD, {"prompt": 3, "completion": "x"}), "a value of type int stands"),
    "a text for messages": (rows_of({"messages": "hello"}), "messages are a list of objects"),
    "NaN": (
        '{"prompt": "a", "completion": NaN}\n' * 3,
        "rows.jsonl:1: a text was expected",
    ),
    "no columns that are known": (rows_of({"q": "a"}), "rows.jsonl:1: has the columns 'q'"),
    "nothing": ("", "rows.jsonl"),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_teach_nothing_are_refused(here: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    content, words = ROWS[name]
    (here / "rows.jsonl").write_text(content)
    assert words in refusal(capsys, "finetune", "small", "rows.jsonl", *FAST)


def test_the_same_row_is_never_both_learnt_and_held_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "rows.jsonl").write_text(rows_of(*GOOD, *GOOD))
    assert main(["finetune", "small", "rows.jsonl", *FAST, "--name", "twice"]) == 0
    tuning = read_tuning(RunFolder(here / "runs" / "twice"))
    # Both of a pair go to one side: the numbers are even.
    assert tuning is not None and (tuning.n_train % 2, tuning.n_held_out % 2) == (0, 0)
    assert tuning.n_train + tuning.n_held_out == 24 and tuning.n_held_out > 0


TEACH = ["finetune", "small", "good.jsonl", *FAST]
CALLS = {
    "a label unseen in training": (
        ["classify", "plain", "ok.csv", "--judged", "other.csv"],
        "label 'c' is in no row that is",
    ),
    "an empty text to classify": (["classify", "plain", "gap.csv"], "gap.csv:14: its text is empty"),
    "a template that fails": (
        ["chat", "failing"],
        "failing: the chat template cannot write one question",
    ),
    "a template that never ends": (["chat", "endless"], "endless: .* the chat template does not end"),
    "a template that is none": (["chat", "broken"], "broken: the chat template is not valid Jinja, line 1"),
    "a template that fails, taught": (["finetune", "failing", "good.jsonl", *FAST], "the chat template refuses"),
    "a foreign kind of tokenizer": (["generate", "unigram", "x"], "model.type is 'Unigram'; only BPE is read"),
    "a tokenizer of another model": (
        ["generate", "larger", "x"],
        "entries, the model only .* rows",
    ),
    "a message longer than the context": (
        ["chat", "chatty", "--system", "cat " * 400],
        "has room for 192",
    ),
    "a system prompt for a base model": (["chat", "plain", "--system", "x"], "a base model has no system prompt"),
    "temperature NaN": (["generate", "plain", "x", "--temperature", "nan"], "temperature=nan is out of range"),
    "a rate that is NaN": (
        [*TEACH, "--optimizer.lr", "nan"],
        "should be a finite number",
    ),
    "epochs NaN": ([*TEACH, "--epochs", "nan"], "epochs=nan.* positive and finite"),
    "epochs without an end": (
        [*TEACH, "--epochs", "inf"],
        "epochs=inf.* positive and finite",
    ),
    "replay NaN": ([*TEACH, "--replay", "nan"], "replay=nan"),
    "minutes NaN": ([*TEACH, "--minutes", "nan"], "nan"),
    "a huge number of copies": (["generate", "plain", "x", "--copies", str(10**9)], "1,000,000,000 copies .* too many"),
    "a huge number of tokens": (
        ["chat", "chatty", "--max-new-tokens", str(10**12)],
        "more than the 10,000,000",
    ),
    "a huge seed": (["classify", "plain", "ok.csv", "--seed", str(10**30)], "seed=1000.* is too large"),
    "a huge seed of the lens": (["lens", "verify", "network", "--seed", str(10**30)], "seed 1000.* is too large"),
    "a huge seed of a run": (
        [*TEACH, "--training.seed", str(10**30)],
        "is too large",
    ),
    "an unknown model": (["generate", "nosuch", "x"], "no model is called 'nosuch'"),
    "an unknown model to teach": (["finetune", "runs/smal", "good.jsonl", *FAST], "no run at runs/smal.* Did you mean"),
    "an unknown model to serve": (["serve", "nosuch"], "no model is called 'nosuch'"),
    "an unknown file of rows": (["finetune", "small", "nosuch.jsonl", *FAST], "nosuch.jsonl"),
}


@pytest.fixture
def files(here: Path) -> Path:
    """What CALLS name."""
    (here / "good.jsonl").write_text(rows_of(*GOOD))
    (here / "ok.csv").write_text(LABELLED)
    (here / "other.csv").write_text("text,label\nx,c\n")
    (here / "gap.csv").write_text(f"{LABELLED} ,a\n")
    if not (here / "unigram").exists():
        file = saved(base(), here / "unigram") / "tokenizer.json"
        content = json.loads(file.read_text())
        file.write_text(json.dumps({**content, "model": {**content["model"], "type": "Unigram"}}))
        saved(base(), here / "larger")
        instructed().tokenizer.save(here / "larger" / "tokenizer.json")
    return here


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_cannot_be_is_answered_with_a_sentence(
    files: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    words, expected = CALLS[name]
    told = refusal(capsys, *words)
    assert re.search(expected, told), told


def test_of_a_prompt_longer_than_the_context_the_end_is_read_and_that_is_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "plain", "the cat " * 400, "--max-new-tokens", "2"]) == 0
    assert "is longer than the context: its first" in capsys.readouterr().err
