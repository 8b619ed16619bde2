"""Every setting is walked with words that mean nothing: each is refused by a sentence, or its meaning is told."""

import json
from typing import get_origin

import pytest

from chainrule.base import ConfigError
from chainrule.cli import main
from chainrule.config import Config, Layer, resolve, section_type

WORDS = {"empty": "", "blank": " ", "line end": "\n", "NUL": "\0", "half a letter": "\ud800", "a million": "x" * 10**6}
# What is accepted, and why: a sample may start from nothing and from any text; no separator is a file as one document;
# without a layout processes share the weights;
# a column may have any name, a template any words, and both are held against the rows when these are read.
MEANT = {
    ("training", "prompts"): {"empty", "blank", "line end", "NUL", "a million"},
    ("text", "separator"): {"empty"},
    ("machine", "parallel"): {"empty"},
    ("text", "field"): {"empty", "blank", "line end", "NUL", "a million"},
    ("text", "template"): {"empty", "blank", "line end", "NUL", "a million"},
    # These are held against the folders, and the tables of names, that there are.
    ("text", "paths"): {"empty", "blank", "line end", "NUL", "a million"},
    ("training", "tasks"): {"empty", "blank", "line end", "NUL", "a million"},
}
KEYS = [(section, key) for section in Config.model_fields for key in section_type(section).model_fields]


def takes_a_list(section: str, key: str) -> bool:
    return get_origin(section_type(section).model_fields[key].annotation) is tuple


@pytest.mark.parametrize(("section", "key"), KEYS, ids=".".join)
def test_a_word_without_a_meaning_is_refused_by_a_sentence(section, key):
    for name, word in WORDS.items():
        value = (word,) if takes_a_list(section, key) else word
        # With a path a vocabulary is a file's.
        more = {"kind": "file"} if key == "path" else {}
        layer = Layer("flag", {section: {**more, key: value}})
        if name in MEANT.get((section, key), ()):
            resolve([layer])
            continue
        with pytest.raises(ConfigError) as refused:
            resolve([layer])
        told = str(refused.value)
        assert key in told and len(told) < 1000, (name, told[:1000])


@pytest.mark.parametrize("key", ["field", "template", "paths", "tasks"])
@pytest.mark.parametrize("name", WORDS)
def test_a_word_that_names_nothing_there_is_refused_before_training(key, name, tmp_path, monkeypatch, tiny, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [{"text": f"Story {n}: the {n % 7} foxes met {n * 3 % 11} dogs.\n"} for n in range(200)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["pretrain", "rows.jsonl", "--name", "x", *tiny]
    if key == "paths":
        words[1] = WORDS[name]
    else:
        words.append(f"--{'training' if key == 'tasks' else 'text'}.{key}={WORDS[name]}")
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "chainrule: " in told and len(told) < 3000
    assert not (tmp_path / "runs" / "x").exists()


@pytest.mark.parametrize("separator", ["<|end|>", "\f", "\x1e", "---  ", "% %", "none", None])
def test_a_line_that_a_text_can_have_is_a_separator(separator):
    resolve([Layer("flag", {"text": {"separator": separator}})])


@pytest.mark.parametrize("separator", ["\t ", "a\nb", "a\0", "\r"])
def test_what_is_no_line_is_no_separator(separator):
    with pytest.raises(ConfigError, match="separator"):
        resolve([Layer("flag", {"text": {"separator": separator}})])
