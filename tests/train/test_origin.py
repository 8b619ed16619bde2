"""Going on from a model keeps what it knows: its shape, its dropout, its tokenizer, and rates that undo little."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from heard import by_word

from chainrule.base import ConfigError, DataError, write_json
from chainrule.checkpoint import open_model
from chainrule.checkpoint.hugging_face import to_hugging_face
from chainrule.checkpoint.tensors import write_tensors
from chainrule.config import Config, Layer, load_toml, resolve
from chainrule.data import open_dataset
from chainrule.model import GPT
from chainrule.run import RunFolder, read_rows, read_start
from chainrule.train import pretrain
from chainrule.train.origin import find_origin

SHORT = {"training": {"steps": 4, "save_every": 4, "eval_every": 4, "sample_every": 4}}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "qkv_bias": False}
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"drop_rate": 0.05},
    "llama": {**MODERN, "drop_rate": 0.0, "tied_embeddings": False},
    "qwen3": {**MODERN, "drop_rate": 0.0, "qk_norm": True},
}


class EnoughError(Exception):
    """The run has begun; what it was begun with is on the disk."""


@pytest.fixture(scope="module")
def other_texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("other")
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"rain {number * 7919} falls on the hills and on nothing else\n" * 8)
    return folder


@pytest.fixture
def begin(texts, tmp_path):
    """Begins a run from `source` up to its first look; returns its settings and all that was said."""

    def run(source: Path, *more: Layer, paths: Path = texts, minutes: float | None = None) -> tuple[Config, str]:
        training = {"batch_tokens": 64, "eval_tokens": 64, "sample_tokens": 2, **({} if minutes else SHORT["training"])}
        machine = {"device": "cpu", "precision": "float32", "threads": 1, "cache": "off"}
        text = {"paths": [str(paths)], "near_duplicates": "keep"}
        layers = [Layer("test", {"text": text, "training": training, "machine": machine})]
        layers.append(Layer("--from", {"origin": {"start_from": str(source)}}))

        def watch(kind: str, row: dict) -> None:
            if kind == "eval":
                raise EnoughError

        with pytest.raises(EnoughError):
            pretrain([*layers, *more], tmp_path / "next", minutes=minutes, watch=by_word(watch))
        said = "\n".join(str(row["message"]) for row in read_rows(tmp_path / "next" / "events.jsonl"))
        return resolve([load_toml(tmp_path / "next" / "config.toml")]).config, said

    return run


@pytest.fixture(scope="module")
def own(layers, tmp_path_factory):
    """A run of ours, without dropout, which is no default."""
    shape = {"model": {"drop_rate": 0.0}, "optimizer": {"lr": 6e-3, "muon_lr": 0.03, "momentum": 0.9}}
    folder = tmp_path_factory.mktemp("origin") / "own"
    pretrain(layers(**SHORT, **shape, schedule={"warmup_share": 0.25}), folder)
    return folder


def foreign(folder: Path, own: Path, family: str, emb_dim: int = 16) -> Path:
    """A folder as transformers writes it, of weights that no run of ours has seen."""
    folder.mkdir()
    opened = open_model(own)
    shape = opened.config.model_dump() | FAMILIES[family] | {"emb_dim": emb_dim, "hidden_dim": 2 * emb_dim}
    for derived in ("head_dim", "n_kv_heads"):
        shape.pop(derived, None)
    config = resolve([Layer("test", {"model": shape})]).config
    settings, tensors = to_hugging_face(config.model, GPT(config.model).state_dict())
    end = opened.tokenizer.end_of_text
    write_json(folder / "config.json", {**settings, "bos_token_id": end, "eos_token_id": end})
    with (folder / "model.safetensors").open("wb") as stream:
        write_tensors(stream, tensors, {"format": "pt"})
    opened.tokenizer.save(folder / "tokenizer.json")
    return folder


def test_a_run_of_ours_keeps_its_dropout_and_goes_on_at_a_third_of_its_rates(own, begin):
    before = resolve([load_toml(own / "config.toml")]).config
    config, said = begin(own)
    assert config.model == before.model and config.model.drop_rate == 0.0
    rates = {"lr": pytest.approx(6e-3 / 3), "muon_lr": pytest.approx(0.03 / 3)}
    assert config.optimizer.model_dump() == before.optimizer.model_dump() | rates
    assert config.schedule == before.schedule
    assert f"going on from step 4 of {own}: dropout 0, muon at a gentle rate (muon_lr 1.0e-02, lr 2.0e-03)" in said
    assert "its own peak was higher" in said and "--optimizer.lr change that" in said


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_from_elsewhere_keeps_its_dropout_and_gets_adamw_at_a_low_rate(own, begin, tmp_path, family):
    config, said = begin(foreign(tmp_path / "model", own, family))
    assert config.model.architecture.lower() == family
    assert config.model.drop_rate == FAMILIES[family]["drop_rate"]
    assert (config.optimizer.kind, config.optimizer.lr) == ("adamw", 1e-4)
    assert (config.schedule.kind, config.schedule.warmup_share, config.schedule.floor) == ("cosine", 0.05, 0.1)
    assert f"dropout {config.model.drop_rate:g}, adamw at a gentle rate (lr 1.0e-04) after a warm-up over 5%" in said
    assert "its own peak is not known" in said


def test_a_wider_model_from_elsewhere_takes_a_lower_rate(own, tmp_path):
    source = foreign(tmp_path / "wide", own, "gpt2", emb_dim=1536)
    origin = find_origin(resolve([Layer("flag", {"origin": {"start_from": str(source)}})]).config, [])
    assert origin is not None
    assert resolve([origin.layer()]).config.optimizer.lr == pytest.approx(1e-4 / 2**0.5)


@pytest.mark.parametrize("from_elsewhere", [False, True])
def test_what_the_user_sets_lies_on_top(own, begin, tmp_path, from_elsewhere):
    source = foreign(tmp_path / "model", own, "qwen3") if from_elsewhere else own
    mine = {"model": {"drop_rate": 0.2}, "optimizer": {"lr": 5e-4}, "schedule": {"warmup_share": 0.5}}
    config, said = begin(source, Layer("flag", mine))
    assert (config.model.drop_rate, config.optimizer.lr, config.schedule.warmup_share) == (0.2, 5e-4, 0.5)
    assert config.optimizer.kind == ("adamw" if from_elsewhere else "muon")
    assert "dropout 0.2" in said and "lr 5.0e-04)" in said and "over 50% of the steps" in said


def test_minutes_choose_the_steps_and_leave_shape_and_rates(own, begin):
    config, said = begin(own, minutes=0.2)
    assert config.model == resolve([load_toml(own / "config.toml")]).config.model
    assert config.optimizer.lr == pytest.approx(6e-3 / 3) and config.training.steps > 0
    assert "going on from step 4" in said


def test_another_text_is_read_by_the_same_tokenizer_and_both_are_scored(own, begin, other_texts, tmp_path):
    begin(own, paths=other_texts)
    run = tmp_path / "next"
    assert (run / "tokenizer.json").read_bytes() == (own / "tokenizer.json").read_bytes()
    before = read_start(RunFolder(run)).before
    assert before.new > 0 and before.old > 0 and before.new != before.old
    ours, theirs = (open_dataset(folder, verify=False).manifest for folder in (run / "old", own / "data"))
    assert ours.fingerprint == theirs.fingerprint


def test_ids_of_another_tokenizer_are_refused(own, layers, texts, tmp_path):
    pretrain(layers(**SHORT, vocabulary={"kind": "bpe"}, model={"vocab_size": 280}), tmp_path / "words")
    shutil.copytree(own, tmp_path / "mixed", ignore=shutil.ignore_patterns("data"))
    shutil.copytree(tmp_path / "words" / "data", tmp_path / "mixed" / "data")
    given = [
        Layer("--from", {"origin": {"start_from": str(tmp_path / "mixed")}, "text": {"paths": [str(texts)]}, **SHORT})
    ]
    with pytest.raises(DataError, match="is another run"):
        pretrain(given, tmp_path / "next")
    assert not (tmp_path / "next").exists()


def test_a_vocabulary_of_ones_own_is_refused_beside_a_model(own, tmp_path):
    given = [Layer("flag", {"origin": {"start_from": str(own)}, "vocabulary": {"kind": "bytes"}})]
    with pytest.raises(ConfigError, match="fixes shape and vocabulary"):
        pretrain([*given, Layer("text", {"text": {"paths": ["."]}})], tmp_path / "next")
