"""How a run comes by its text."""

import io
import json
import shutil
import subprocess
import sys

import pytest
from heard import by_word

from chainrule.base import ConfigError, DataError
from chainrule.data import Cache, open_dataset
from chainrule.run import Event
from chainrule.tokenizer import sample
from chainrule.train import prepare_text, pretrain
from chainrule.train import shared as train_shared

UNGUARDED = """
import json, sys
from pathlib import Path
from chainrule.config import Layer
from chainrule.train import pretrain
values = json.loads(sys.argv[1])
summary = pretrain([Layer("script", values)], Path(sys.argv[2]))
print(json.dumps(summary.val_loss))
"""


def test_a_script_without_a_guard_trains_with_several_workers(layers, tmp_path):
    script, merged = tmp_path / "script.py", {}
    script.write_text(UNGUARDED)
    for layer in layers(machine={"workers": 2}, training={"steps": 2}):
        for section, values in layer.values.items():
            merged.setdefault(section, {}).update(values)
    command = [sys.executable, str(script), json.dumps(merged), str(tmp_path / "script")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    alone = pretrain(layers(machine={"workers": 1}, training={"steps": 2}), tmp_path / "here")
    assert done.stdout.split() == [json.dumps(alone.val_loss)]


def opened_texts(monkeypatch, texts):
    """The files below `texts` that are opened from now on, by this process."""
    opened, real = [], io.open

    def counting(file, *given, **named):
        if str(file).startswith(str(texts)):
            opened.append(file)
        return real(file, *given, **named)

    monkeypatch.setattr(io, "open", counting)
    monkeypatch.setattr("builtins.open", counting)
    return opened


@pytest.fixture
def shared(layers, tmp_path):
    """Settings of a run that uses a cache."""

    def make(**over):
        settings = {"model": {"vocab_size": 300}, "vocabulary": {"kind": "bpe"}, **over}
        settings["machine"] = {"cache": str(tmp_path / "cache"), **over.get("machine", {})}
        settings["training"] = {"steps": 2, **over.get("training", {})}
        return layers(**settings)

    return make


def entries(tmp_path):
    return sorted(entry.kind for entry in Cache(tmp_path / "cache").entries())


def test_a_second_run_on_the_same_text_reads_none_of_it(shared, texts, tmp_path, monkeypatch):
    opened = opened_texts(monkeypatch, texts)
    first = pretrain(shared(), tmp_path / "first")
    assert len(set(opened)) == 40
    assert entries(tmp_path) == ["shards", "survey", "tokenizer"]
    opened.clear()
    second = pretrain(shared(optimizer={"lr": 2e-3}), tmp_path / "second")
    assert opened == []
    assert entries(tmp_path) == ["shards", "survey", "tokenizer"]
    assert second.val_loss != first.val_loss
    third = pretrain(shared(), tmp_path / "third")
    assert third.val_loss == first.val_loss
    shard = "train-00000.safetensors"
    inodes = {(tmp_path / run / "data" / shard).stat().st_ino for run in ("first", "second", "third")}
    assert len(inodes) == 1


def test_a_run_with_a_cache_and_one_without_are_the_same_run(shared, tmp_path):
    pretrain(shared(), tmp_path / "cached")
    pretrain(shared(machine={"cache": "off"}), tmp_path / "alone")
    for name in ("data/manifest.json", "tokenizer.json", "data/train-00000.safetensors"):
        assert (tmp_path / "cached" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_a_run_outlives_the_cache_and_can_be_moved(shared, tmp_path):
    def die(kind, row):
        if kind == "train" and row["step"] == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        pretrain(shared(training={"steps": 4, "save_every": 1}), tmp_path / "run", watch=by_word(die))
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert pretrain([], tmp_path / "moved", resume=True).status == "finished"
    assert not (tmp_path / "cache").exists()


class StoppedError(Exception):
    pass


def test_a_preparation_that_was_cut_off_is_gone_on_with_by_the_next_run(shared, texts, tmp_path, monkeypatch):
    def die(kind, row):
        if kind == "progress" and row["phase"] == "tokens":
            raise StoppedError

    with pytest.raises(StoppedError):
        pretrain(shared(), tmp_path / "first", watch=by_word(die))
    assert not (tmp_path / "first" / "data" / "manifest.json").exists()
    phases = phases_of(shared(), tmp_path / "second")
    assert "reading" not in phases and "tokenizer" not in phases and "tokens" in phases


def test_a_cache_that_cannot_be_written_is_said_and_done_without(shared, tmp_path):
    (tmp_path / "cache").write_text("a file stands here")
    said = []
    watch = lambda record: said.append(record.message) if isinstance(record, Event) else None  # noqa: E731
    assert pretrain(shared(), tmp_path / "run", watch=watch).status == "finished"
    assert any("without the cache" in message for message in said)


def test_small_texts_do_not_fill_the_users_cache(layers, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    pretrain(layers(training={"steps": 1}), tmp_path / "run")
    assert {path.name for path in (tmp_path / "home").glob("*/*")} <= {"kernels"}


def test_text_prepared_ahead_is_what_the_run_takes(shared, texts, tmp_path, monkeypatch):
    made = prepare_text(shared())
    opened = opened_texts(monkeypatch, texts)
    said = []
    watch = lambda record: said.append(record.message) if isinstance(record, Event) else None  # noqa: E731
    pretrain(shared(), tmp_path / "run", watch=watch)
    assert opened == []
    assert not any("kept for other runs" in message for message in said)
    assert made.data.tokens == open_dataset(tmp_path / "run" / "data").manifest.report.tokens
    with pytest.raises(ConfigError, match=r"machine\.cache is off"):
        prepare_text(shared(machine={"cache": "off"}))


def phases_of(layers, run):
    """What was done before the first step."""
    phases = []
    pretrain(layers, run, watch=by_word(lambda kind, row: phases.append(row["phase"]) if kind == "progress" else None))
    return phases


def test_other_settings_of_what_is_kept_need_no_second_survey(shared, tmp_path):
    pretrain(shared(), tmp_path / "first")
    for number, text in enumerate(({"validation_share": 0.2}, {"on_bad": "skip"}, {"duplicates": "keep"})):
        assert "reading" not in phases_of(shared(training={"steps": 1}, text=text), tmp_path / str(number))
    assert entries(tmp_path).count("survey") == 1


@pytest.mark.parametrize(
    ("kind", "vocab_size", "n_bytes"), [("bpe", 300, 3000), ("bpe", 500, 3750), ("chars", 300, 3000)]
)
def test_a_vocabulary_is_given_no_more_text_than_it_learns_from(shared, monkeypatch, kind, vocab_size, n_bytes):
    monkeypatch.setattr(sample, "SAMPLE_BYTES", 4000)
    monkeypatch.setattr(sample, "BYTES_PER_ENTRY", 10)
    learnt, real = [], train_shared.build_tokenizer

    def counting(config, size, texts):
        learnt.append(sum(map(len, texts())))
        return real(config, size, texts)

    monkeypatch.setattr(train_shared, "build_tokenizer", counting)
    prepare_text(shared(model={"vocab_size": vocab_size}, vocabulary={"kind": kind}))
    # Whole documents of some 250 bytes.
    assert abs(learnt[0] - n_bytes) < 0.2 * n_bytes


def test_other_weights_of_sources_read_no_text_again_and_a_resume_keeps_their_order(
    shared, texts, tmp_path, monkeypatch
):
    plain = pretrain(shared(training={"steps": 4}), tmp_path / "plain")
    some = open_dataset(tmp_path / "plain" / "data").split("train").occurring[:3]
    opened = opened_texts(monkeypatch, texts)
    weights = {"mixture": [f"{some[0]}=1 {some[1]}=3", f"128: {some[2]}=1"]}
    mixed = pretrain(shared(training={"steps": 4}, text=weights), tmp_path / "mixed")
    assert opened == []
    assert mixed.val_loss != plain.val_loss

    def die(kind, row):
        if kind == "train" and row["step"] == 3:
            raise StoppedError

    settings = shared(training={"steps": 4, "save_every": 1}, text=weights)
    with pytest.raises(StoppedError):
        pretrain(settings, tmp_path / "stopped", watch=by_word(die))
    assert pretrain([], tmp_path / "stopped", resume=True).val_loss == mixed.val_loss
    with pytest.raises(DataError, match="no training text of a source 'nobody'"):
        pretrain(shared(text={"mixture": ["nobody=1"]}), tmp_path / "wrong")
