import json
import shutil
from pathlib import Path

import pytest
import torch
from heard import by_word

from chainrule.base import ConfigError, DataError, RunError, TrainingError
from chainrule.checkpoint import load_checkpoint, newest_checkpoint, open_model
from chainrule.config import Layer, load_toml, resolve
from chainrule.model import GPT
from chainrule.run import RunFolder, read_rows
from chainrule.train import guard, loop, pretrain


def weights(run: Path) -> dict[str, torch.Tensor]:
    found = newest_checkpoint(run / "checkpoints", on_reject=lambda path, reason: pytest.fail(reason))
    assert found is not None
    return {**found.tensors("model"), **found.tensors("optimizer")}


def losses(run: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in read_rows(run / "metrics.jsonl") if row["kind"] == "train"]


def assert_same_run(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert losses(one) == losses(other)


@pytest.fixture(scope="module")
def trained_once(layers, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "straight"
    pretrain(layers(), folder)
    return folder


@pytest.fixture
def straight(trained_once, tmp_path) -> Path:
    """A run of the usual settings from beginning to end; a copy, to be moved and changed."""
    return Path(shutil.copytree(trained_once, tmp_path / "straight"))


def test_a_run_leaves_a_folder_that_holds_everything_and_can_be_moved(straight):
    moved = straight.rename(straight.with_name("moved"))
    run = RunFolder(moved)
    summary = json.loads(run.summary.read_text())
    assert summary["status"] == "finished"
    assert summary["step"] == summary["steps"] == 12
    assert [row["step"] for row in read_rows(run.metrics) if row["kind"] == "eval"] == [0, 4, 8, 12]
    assert [row["step"] for row in read_rows(run.samples)] == [0, 6, 12]
    opened = open_model(moved)
    assert opened.config.vocab_size == opened.tokenizer.vocab_size == 257


def test_the_watcher_hears_what_the_folder_holds(layers, tmp_path):
    heard = []
    pretrain(layers(), tmp_path / "run", watch=by_word(lambda kind, row: heard.append((kind, dict(row)))))
    kinds = [kind for kind, _ in heard]
    for kind in ("machine", "plan", "tokenizer", "data", "eval", "train", "sample", "saved", "finished"):
        assert kind in kinds
    rows = [{"kind": kind, **row} for kind, row in heard if kind in ("train", "eval")]
    assert json.loads(json.dumps(rows)) == list(read_rows(tmp_path / "run" / "metrics.jsonl"))


def test_the_same_settings_give_the_same_bits(straight, layers, tmp_path):
    pretrain([load_toml(straight / "config.toml")], tmp_path / "again")
    assert_same_run(straight, tmp_path / "again")


def test_another_seed_gives_another_run(straight, layers, tmp_path):
    pretrain(layers(training={"seed": 1}), tmp_path / "other")
    assert losses(straight) != losses(tmp_path / "other")


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("step", [1, 4, 6, 11])
def test_a_run_that_died_goes_on_as_if_nothing_had_happened(straight, layers, tmp_path, step):
    def die(kind, row):
        if kind == "train" and row["step"] == step:
            raise StoppedError

    with pytest.raises(StoppedError):
        pretrain(layers(), tmp_path / "killed", watch=by_word(die))
    summary = pretrain([], tmp_path / "killed", resume=True)
    assert summary.status == "finished"
    assert_same_run(straight, tmp_path / "killed")
    rows = [(row["kind"], row["step"]) for row in read_rows(tmp_path / "killed" / "metrics.jsonl")]
    assert len(rows) == len(set(rows))


def test_windows_that_grow_are_taken_up_by_a_resume_where_they_were(layers, tmp_path):
    def die(kind, row):
        if kind == "train" and row["step"] == 5:
            raise StoppedError

    seen = []

    def note(module, given, result):
        if module.training and type(module).__name__ == "Block":
            seen.append(tuple(given[0].shape[:2]))

    grown = layers(schedule={"first_window": 4, "grow_share": 0.5}, machine={"micro_batch": 2})
    with pytest.raises(StoppedError):
        pretrain(grown, tmp_path / "killed", watch=by_word(die))
    hook = torch.nn.modules.module.register_module_forward_hook(note)
    try:
        pretrain(grown, tmp_path / "straight")
    finally:
        hook.remove()
    # From 4 tokens over 8 to 16: 64 tokens a step in portions of 32, after the probe of whole windows.
    assert list(dict.fromkeys(shape for shape in seen if shape[1] < 16)) == [(8, 4), (4, 8)]
    pretrain([], tmp_path / "killed", resume=True)
    assert_same_run(tmp_path / "straight", tmp_path / "killed")


@pytest.mark.parametrize("phase", ["reading", "tokenizer", "tokens"])
def test_a_run_that_died_before_its_first_step_goes_on(straight, layers, tmp_path, phase):
    def die(kind, row):
        if kind == "progress" and row["phase"] == phase:
            raise StoppedError

    with pytest.raises(StoppedError):
        pretrain(layers(), tmp_path / "killed", watch=by_word(die))
    pretrain([], tmp_path / "killed", resume=True)
    assert_same_run(straight, tmp_path / "killed")


def test_a_damaged_checkpoint_is_passed_over_and_said(straight, layers, tmp_path):
    def die(kind, row):
        if kind == "train" and row["step"] == 10:
            raise StoppedError

    run = tmp_path / "damaged"
    with pytest.raises(StoppedError):
        pretrain(layers(), run, watch=by_word(die))
    damaged = run / "checkpoints" / "step-00000008" / "model.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    heard = []
    pretrain([], run, resume=True, watch=by_word(lambda kind, row: heard.append(row.get("message", ""))))
    assert any("passed over" in message and "step-00000004" in message for message in heard)
    assert_same_run(straight, run)


def test_a_micro_batch_changes_the_portions_and_not_the_learning(layers, tmp_path):
    for size in (1, 4):
        over = {"machine": {"micro_batch": size}, "model": {"drop_rate": 0.0}, "optimizer": {"kind": "adamw"}}
        pretrain(layers(**over), tmp_path / str(size))
    for (_, one), (_, four) in zip(losses(tmp_path / "1"), losses(tmp_path / "4"), strict=True):
        assert one == pytest.approx(four, abs=2e-6)


def test_a_run_in_the_way_is_not_overwritten(straight, layers):
    before = (straight / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="nothing is overwritten"):
        pretrain(layers(), straight)
    assert (straight / "metrics.jsonl").read_bytes() == before


def test_a_finished_run_is_not_scored_again(straight):
    said = []
    before = (straight / "summary.json").read_bytes()
    summary = pretrain(
        [], straight, resume=True, watch=by_word(lambda kind, row: said.append((kind, row.get("message"))))
    )
    assert summary.status == "finished"
    assert [kind for kind, _ in said] == ["notice", "finished"]
    assert (straight / "summary.json").read_bytes() == before


def test_a_resume_refuses_what_would_make_it_another_run(straight):
    with pytest.raises(ConfigError, match=r"optimizer\.lr"):
        pretrain([Layer("flag", {"optimizer": {"lr": 0.5}})], straight, resume=True)


def test_a_resume_refuses_another_text(straight, layers, tmp_path):
    pretrain(layers(text={"validation_share": 0.2}), tmp_path / "other")
    shards = straight / "data"
    for path in shards.glob("*.*"):
        path.unlink()
    for path in (tmp_path / "other" / "data").glob("*.*"):
        (shards / path.name).write_bytes(path.read_bytes())
    (straight / "summary.json").unlink()
    with pytest.raises(Exception, match="is another run") as caught:
        pretrain([], straight, resume=True)
    assert caught.value.exit_code == 2


def poison_after(step: int, n_steps: int, factor: float, monkeypatch: pytest.MonkeyPatch):
    """Watcher that multiplies losses of the `n_steps` steps after `step` by `factor` (one batch each)."""
    loss, left = GPT.loss, []

    def poisoned(self, ids, targets, documents=None):
        return loss(self, ids, targets, documents) * (left.pop() if left else 1.0)

    def watch(kind, row):
        if kind == "train" and row["step"] == step:
            left.extend([factor] * n_steps)

    monkeypatch.setattr(GPT, "loss", poisoned)
    return watch


def test_a_non_finite_step_moves_nothing_and_its_batch_is_kept(layers, tmp_path, monkeypatch):
    watch = poison_after(3, 1, float("inf"), monkeypatch)
    summary = pretrain(layers(), tmp_path / "run", watch=by_word(watch))
    kept = list((tmp_path / "run" / "skipped").iterdir())
    assert summary.n_skipped == len(kept) == 1
    batch = json.loads(kept[0].read_text())
    assert len(batch["ids"]) == 4 and all(len(row) == 17 for row in batch["ids"])
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path / "run").values())
    row = next(
        row for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "train" and not row["loss"]
    )
    assert row["step"] == batch["step"]


def test_of_many_skipped_steps_the_first_batches_are_kept_and_the_rest_is_said(layers, tmp_path, monkeypatch):
    for module in (guard, loop):
        monkeypatch.setattr(module, "MOST_KEPT", 2)
    watch = poison_after(3, 4, float("inf"), monkeypatch)
    summary = pretrain(layers(training={"bad_steps": 9}), tmp_path / "run", watch=by_word(watch))
    kept = sorted(path.name for path in (tmp_path / "run" / "skipped").iterdir())
    assert (summary.n_skipped, kept) == (4, ["step-00000004.json", "step-00000005.json"])
    events = [row["message"] for row in read_rows(tmp_path / "run" / "events.jsonl")]
    assert sum("2 such batches are in" in message for message in events) == 2


def test_several_non_finite_steps_in_a_row_stop_the_run_with_the_last_checkpoint_intact(layers, tmp_path, monkeypatch):
    watch = poison_after(5, 5, float("nan"), monkeypatch)
    with pytest.raises(TrainingError, match="3 steps in a row"):
        pretrain(layers(training={"bad_steps": 3}), tmp_path / "run", watch=by_word(watch))
    newest = sorted((tmp_path / "run" / "checkpoints").iterdir())[-1]
    assert all(torch.isfinite(t).all() for t in load_checkpoint(newest).tensors("model").values())


def test_going_on_from_a_run_starts_from_its_weights_and_shows_what_it_costs(straight, tmp_path):
    new = tmp_path / "new"
    new.mkdir()
    for number in range(30):
        (new / f"{number}.txt").write_text(f"numbers {number} are {number * 7} and {number * 13}\n" * 12)
    over = {"origin": {"start_from": str(straight), "old_share": 0.25}, "training": {"steps": 8, "batch_tokens": 64}}
    text = {"paths": [str(new)], "near_duplicates": "keep"}
    summary = pretrain([Layer("test", {**over, "text": text, "machine": {"precision": "float32"}})], tmp_path / "on")
    saved = json.loads((straight / "summary.json").read_text())
    assert summary.old.before == pytest.approx(saved["val_bits_per_byte"], abs=0.3)
    assert summary.new.after < summary.new.before
    config = resolve([load_toml(tmp_path / "on" / "config.toml")]).config
    assert config.model.emb_dim == 16
    assert open_model(tmp_path / "on").tokenizer.fingerprint == open_model(straight).tokenizer.fingerprint


def test_old_text_that_is_gone_or_another_is_refused_on_a_resume(straight, layers, tmp_path):
    on = tmp_path / "on"
    over = Layer("flag", {"origin": {"start_from": str(straight), "old_share": 0.25}, "training": {"steps": 2}})
    own = {key: layer.values[key] for layer in layers() for key in ("text", "machine") if key in layer.values}
    pretrain([Layer("text", own), over], on)
    more = [Layer("flag", {"training": {"steps": 4}})]
    whole = on / "old"
    whole.rename(on / "aside")
    with pytest.raises(DataError, match=r"old text as well .*old/ is gone"):
        pretrain(more, on, resume=True)
    other = layers(text={"validation_share": 0.2}, training={"steps": 2})
    pretrain(other, tmp_path / "other")
    shutil.copytree(tmp_path / "other" / "data", whole)
    with pytest.raises(DataError, match="old/ holds another text than the one that step-00000002 learnt from"):
        pretrain(more, on, resume=True)
    # A kill while it was linked leaves no manifest: that is none, too.
    (whole / "manifest.json").unlink()
    with pytest.raises(DataError, match="old/ is gone or not whole"):
        pretrain(more, on, resume=True)
    shutil.rmtree(whole)
    (on / "aside").rename(whole)
    assert pretrain(more, on, resume=True).step == 4


def test_old_text_is_asked_for_before_anything_is_made(straight, layers, tmp_path):
    (straight / "data" / "manifest.json").unlink()
    over = Layer("flag", {"origin": {"start_from": str(straight), "old_share": 0.25}})
    with pytest.raises(ConfigError, match="needs the old text"):
        pretrain([layers()[1], over], tmp_path / "on")


def test_another_shape_than_the_origins_is_refused(straight, layers, tmp_path):
    over = Layer("flag", {"origin": {"start_from": str(straight)}, "model": {"n_layers": 3}})
    with pytest.raises(ConfigError, match="fixes shape and vocabulary"):
        pretrain([layers()[1], over], tmp_path / "on")


def test_a_text_alone_is_enough_and_what_is_neither_is_refused(texts, tmp_path, monkeypatch):
    drafted = []
    monkeypatch.setattr("chainrule.train.pretraining.draft", lambda layers, minutes: drafted.append(layers) or 1 / 0)
    for given in (str(texts), texts, [str(texts)]):
        with pytest.raises(ZeroDivisionError):
            pretrain(given, str(tmp_path / "run"), minutes=1)
    assert [layers[0].values for layers in drafted] == [{"text": {"paths": [str(texts)]}}] * 3
    with pytest.raises(ConfigError, match="give layers of settings, or paths of text, and not both"):
        pretrain([Layer("a", {}), str(texts)], tmp_path / "run")
