"""Faults planted in numbers: seen in the same step, never saved; what a run does about spikes is resumed bit by bit."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from heard import by_word

from chainrule.base import ConfigError, DataError, TrainingError
from chainrule.checkpoint import load_checkpoint, step_folder
from chainrule.config import resolve
from chainrule.data import Batches
from chainrule.model import GPT
from chainrule.run import RunFolder, SpikeRow, read_rows, rows_of, steps_of
from chainrule.train import guard, loop, pretrain
from chainrule.train.stages import check_replay
from chainrule.train.step import backward

KINDS = [("adamw", "float32"), ("muon", "float32"), ("adamw", "bfloat16"), ("muon", "bfloat16")]
SHORT = {"steps": 12, "eval_every": 12, "sample_every": 12, "save_every": 4, "keep_last": 9}


@pytest.fixture(params=KINDS, ids=["-".join(kind) for kind in KINDS])
def settings(request, layers):
    kind, precision = request.param

    def make(**training):
        machine = {"precision": precision, "threads": 1, "device": "cpu"}
        return layers(optimizer={"kind": kind}, machine=machine, training={**SHORT, **training})

    return make


class Planted:
    """Does something to the run's model, optimizer or objective just before an update, by its number, is computed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, plants: dict[int, Callable]) -> None:
        own = loop.train_step

        def train_step(model, optimizer, objective, *rest):
            self.n += 1
            other = plants[self.n](model, optimizer, objective) if self.n in plants else None
            return own(model, optimizer, other or objective, *rest)

        self.n = 0
        monkeypatch.setattr(loop, "train_step", train_step)


def gradient(value: float) -> Callable:
    """One element of one gradient of the next backward pass."""

    def plant(model, optimizer, objective):
        weight = model.blocks[0].feed_forward.down.weight

        def spoil(given: torch.Tensor) -> torch.Tensor:
            handle.remove()
            given = given.clone()
            given[0, 3] = value
            return given

        handle = weight.register_hook(spoil)

    return plant


def weight(value: float) -> Callable:
    def plant(model, optimizer, objective):
        with torch.no_grad():
            model.blocks[1].feed_forward.down.weight[1, 2] = value

    return plant


def moment(key: str, value: float) -> Callable:
    def plant(model, optimizer, objective):
        next(one for name, one in optimizer.state().items() if name.endswith(key)).view(-1)[1] = value

    return plant


def loss_of(value: float) -> Callable:
    def plant(model, optimizer, objective):
        return SimpleNamespace(loss=lambda batch: objective.loss(batch) * value, counted=objective.counted)

    return plant


def events(run: Path) -> list[str]:
    return [row["message"] for row in read_rows(run / "events.jsonl")]


def assert_all_saved_is_finite(run: Path) -> None:
    steps = steps_of(run / "checkpoints")
    assert steps, "something was saved before"
    for step in steps:
        saved = load_checkpoint(step_folder(run / "checkpoints", step))
        for stem in saved.stems:
            assert all(torch.isfinite(tensor).all() for tensor in saved.tensors(stem).values()), (step, stem)


NAN, INF = float("nan"), float("inf")


def test_a_loss_or_one_element_of_a_gradient_costs_its_step_alone(settings, tmp_path, monkeypatch):
    Planted(monkeypatch, {2: gradient(NAN), 4: gradient(INF), 6: loss_of(NAN), 8: loss_of(INF)})
    summary = pretrain(settings(steps=9), tmp_path / "run")
    assert (summary.status, summary.n_skipped) == ("finished", 4)
    told = [text for text in events(tmp_path / "run") if "gave a non-finite loss or gradient" in text]
    assert [int(text.split()[1]) for text in told] == [2, 4, 6, 8]
    assert_all_saved_is_finite(tmp_path / "run")


def test_a_weight_ends_the_run_at_that_step_and_is_not_saved(settings, tmp_path, monkeypatch):
    Planted(monkeypatch, {8: weight(NAN if resolve(settings()).config.optimizer.kind == "muon" else -INF)})
    run = tmp_path / "run"
    way = re.escape(f"`chainrule pretrain --resume {run}` goes on from step 4")
    with pytest.raises(TrainingError, match=f"the weights are not finite at step 8: .*{way}"):
        pretrain(settings(), run)
    assert steps_of(run / "checkpoints") == [4]
    assert_all_saved_is_finite(run)
    monkeypatch.undo()
    assert pretrain([], run, resume=True).status == "finished"


def test_a_weight_that_no_token_of_the_batch_reads_is_seen_as_well(layers, tmp_path, monkeypatch):
    def plant(model, optimizer, objective):
        with torch.no_grad():
            model.token_embedding.weight[255, 0] = float("nan")  # a byte that is in no text

    Planted(monkeypatch, {3: plant})
    with pytest.raises(TrainingError, match=r"not finite at step 3: token_embedding\.weight"):
        pretrain(layers(model={"tied_embeddings": False}, training=SHORT), tmp_path / "run")


@pytest.mark.parametrize(
    ("kind", "precision", "key", "value"),
    [
        ("adamw", "float32", "exp_avg", NAN),
        ("adamw", "float32", "exp_avg_sq", INF),
        ("adamw", "bfloat16", "exp_avg_sq", NAN),
        ("muon", "float32", "momentum", NAN),
        ("muon", "bfloat16", "momentum", INF),
        ("muon", "bfloat16", "exp_avg_sq", INF),
    ],
)
def test_a_moment_is_noticed_within_the_stated_steps_and_not_saved(
    layers, tmp_path, monkeypatch, kind, precision, key, value
):
    machine = {"precision": precision, "threads": 1, "device": "cpu"}
    training = {**SHORT, "steps": 40, "save_every": 40, "eval_every": 40, "sample_every": 40}
    run = tmp_path / "run"
    Planted(monkeypatch, {5: moment(key, value)})
    with pytest.raises(TrainingError, match="are not finite at step") as caught:
        pretrain(layers(optimizer={"kind": kind}, machine=machine, training=training), run)
    step = int(re.search(r"at step (\d+)", str(caught.value))[1])
    # Only an infinite second moment leaves the weights finite.
    assert step == (guard.MOMENTS_EVERY if (key, value) == ("exp_avg_sq", INF) else 5)
    assert steps_of(run / "checkpoints") == []


def test_a_moment_that_is_not_finite_is_in_no_checkpoint(layers, tmp_path, monkeypatch):
    Planted(monkeypatch, {7: moment("exp_avg_sq", INF)})
    with pytest.raises(TrainingError, match=r"moments of the optimizer are not finite at step 8: .*exp_avg_sq"):
        pretrain(layers(training=SHORT), tmp_path / "run")
    assert steps_of(tmp_path / "run" / "checkpoints") == [4]
    assert_all_saved_is_finite(tmp_path / "run")


@pytest.mark.parametrize("bad", [-1, 257, 2**40])
def test_ids_beyond_the_vocabulary_are_named_with_their_place(layers, tmp_path, monkeypatch, bad):
    own = Batches.windows

    def windows(self, first_sample, *rest):
        found = own(self, first_sample, *rest)
        if first_sample >= 20:  # step 6 of four windows each
            found.ids[2, 5] = bad
        return found

    monkeypatch.setattr(Batches, "windows", windows)
    with pytest.raises(DataError, match=rf"step 6 holds the token id {bad} \(window 2, place 5\).* 0 to 256"):
        pretrain(layers(training=SHORT), tmp_path / "run")
    assert steps_of(tmp_path / "run" / "checkpoints") == [4]


# What is done about spikes.

SPIKES = {**SHORT, "steps": 16, "spike_window": 8, "spike_sigma": 6.0, "eval_every": 16, "sample_every": 16}
OWN_LOSS = GPT.loss


class StoppedError(Exception):
    """Like a kill."""


@pytest.fixture
def spoilt_batches(monkeypatch):
    """Batches whose loss is multiplied, by the place of their first window; the same whenever they are read."""
    places: dict[int, float] = {}
    now: list[float] = [1.0]
    own = Batches.windows

    def windows(self, first_sample, *rest):
        now[0] = places.get(first_sample, 1.0)
        return own(self, first_sample, *rest)

    def loss(self, *given):
        return OWN_LOSS(self, *given) * (now[0] if self.training else 1.0)

    monkeypatch.setattr(Batches, "windows", windows)
    monkeypatch.setattr(GPT, "loss", loss)
    return places


def trained(run: Path) -> list[tuple[int, float, int]]:
    return [
        (row["step"], row["loss"], row["tokens"]) for row in read_rows(run / "metrics.jsonl") if row["kind"] == "train"
    ]


def final(run: Path) -> dict[str, bytes]:
    folder = step_folder(run / "checkpoints", 16)
    found = {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}
    progress = json.loads((folder / "state.json").read_text())["progress"]
    return {**found, "rewinds": progress["rewinds"], "recent": progress["recent"], "samples": progress["samples"]}


def killed(given: list, run: Path, heard: Callable[[str, dict], bool]) -> None:
    def die(kind, row):
        if heard(kind, row):
            raise StoppedError

    with pytest.raises(StoppedError):
        pretrain(given, run, watch=by_word(die))


def test_by_default_a_spike_is_made_like_any_step(layers, tmp_path, spoilt_batches):
    spoilt_batches[36] = 40.0
    assert pretrain(layers(training=SPIKES), tmp_path / "run").n_skipped == 0


def test_a_skipped_spike_moves_nothing_and_a_resume_skips_it_too(layers, tmp_path, spoilt_batches):
    spoilt_batches[36] = 40.0  # step 10
    given = layers(training={**SPIKES, "on_spike": "skip"})
    straight, run = tmp_path / "straight", tmp_path / "run"
    assert pretrain(given, straight).n_skipped == 1
    told = [text for text in events(straight) if text.startswith("step 10 is a spike (loss ")]
    assert len(told) == 1 and "standard deviations above the mean of" in told[0] and "was skipped" in told[0]
    assert [path.name for path in (straight / "skipped").iterdir()] == ["step-00000010.json"]
    spikes = list(rows_of(RunFolder(straight).health, SpikeRow))
    assert [(one.step, one.applied) for one in spikes] == [(10, False)]
    killed(given, run, lambda kind, row: kind == "train" and row["step"] == 11)
    pretrain([], run, resume=True)
    assert final(run) == final(straight) and trained(run) == trained(straight)


def test_a_run_that_stops_at_a_spike_has_saved_the_step_before(layers, tmp_path, spoilt_batches):
    spoilt_batches[36] = 40.0
    run = tmp_path / "run"
    for resume in (False, True):
        with pytest.raises(TrainingError, match=r"step 10 is a spike, and training\.on_spike = stop.*--fork .*run@9 "):
            pretrain([] if resume else layers(training={**SPIKES, "on_spike": "stop"}), run, resume=resume)
        assert steps_of(run / "checkpoints")[-1] == 9
    forked = layers(training={"on_spike": "skip"}, origin={"fork": f"{run}@9"})[-1:]
    assert pretrain(forked, tmp_path / "fork").n_skipped == 1
    pretrain(layers(training={**SPIKES, "on_spike": "skip"}), tmp_path / "skip")
    same = step_folder(tmp_path / "fork" / "checkpoints", 16), step_folder(tmp_path / "skip" / "checkpoints", 16)
    assert len({(folder / "model.safetensors").read_bytes() for folder in same}) == 1


def test_a_rewind_goes_on_behind_the_text_of_the_spike_as_if_it_had_never_been_read(layers, tmp_path, spoilt_batches):
    spoilt_batches[36] = 40.0  # step 10; the last checkpoint is of step 8, which was reached with sample 32
    given = layers(training={**SPIKES, "on_spike": "rewind", "background_saves": "on"})
    run = tmp_path / "run"
    assert pretrain(given, run).n_skipped == 0
    assert final(run)["rewinds"] == [[10, 8, 40]] and final(run)["samples"] == 72
    told = [text for text in events(run) if "back to step 8, and on with the text behind it; 2 batches" in text]
    assert len(told) == 1
    assert [step for step, *_ in trained(run)] == list(range(1, 17))
    assert [(one.step, one.applied) for one in rows_of(RunFolder(run).health, SpikeRow)] == [(10, False)]
    # The same by hand: two batches of the text's order are left out.
    own = Batches.windows

    def windows(self, first_sample, *rest):
        return own(self, first_sample + 8 if first_sample >= 32 else first_sample, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batches, "windows", windows)
        pretrain(layers(training=SPIKES), tmp_path / "hand")
    same = (step_folder(path / "checkpoints", 16) / "model.safetensors" for path in (run, tmp_path / "hand"))
    assert len({path.read_bytes() for path in same}) == 1


def test_a_rewind_is_resumed_bit_for_bit(layers, tmp_path, spoilt_batches):
    spoilt_batches.update({36: 40.0, 52: 40.0})
    given = layers(training={**SPIKES, "on_spike": "rewind"})
    straight = tmp_path / "straight"
    pretrain(given, straight)
    assert [one[:2] for one in final(straight)["rewinds"]] == [[10, 8], [12, 8]]
    # Step 11 comes for the first time after one rewind and before the other; 9 for the third time after both.
    for step, time in ((9, 3), (11, 1), (13, 1)):
        run, seen = tmp_path / f"run{step}", []

        def die(kind, row, step=step, time=time, seen=seen):
            seen.extend([step] if kind == "train" and row["step"] == step else [])
            return len(seen) == time

        killed(given, run, die)
        pretrain([], run, resume=True)
        assert final(run) == final(straight) and trained(run) == trained(straight)


def test_a_checkpoint_that_a_signal_made_is_no_place_to_go_back_to(layers, tmp_path, spoilt_batches):
    spoilt_batches[36] = 40.0
    given = layers(training={**SPIKES, "on_spike": "rewind", "keep_last": 1})
    straight, run = tmp_path / "straight", tmp_path / "run"
    pretrain(given, straight)

    def stop(kind, row):
        if kind == "train" and row["step"] == 9:
            signal.raise_signal(signal.SIGTERM)

    assert pretrain(given, run, watch=by_word(stop)).step == 9
    assert steps_of(run / "checkpoints") == [8, 9]
    assert pretrain([], run, resume=True).status == "finished"
    assert final(run) == final(straight) and trained(run) == trained(straight)


def test_a_spike_before_there_is_a_checkpoint_is_skipped(layers, tmp_path, spoilt_batches):
    spoilt_batches[20] = 40.0
    given = layers(training={**SPIKES, "on_spike": "rewind", "save_every": 16})
    assert pretrain(given, tmp_path / "run").n_skipped == 1


def test_spikes_in_whatever_text_end_the_run(layers, tmp_path, spoilt_batches):
    spoilt_batches.update({36 + 4 * n: 40.0 for n in range(20)})
    given = layers(training={**SPIKES, "on_spike": "rewind"})
    with pytest.raises(TrainingError, match="the 4th after step 8, each in other text"):
        pretrain(given, tmp_path / "run")


# A step made twice.


@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_sound_machine_makes_a_step_twice_alike_and_a_replay_moves_no_bit(layers, tmp_path, threads):
    for name, every in (("plain", 0), ("replayed", 3)):
        given = layers(training={**SPIKES, "replay_every": every}, machine={"threads": threads, "micro_batch": 2})
        assert pretrain(given, tmp_path / name).status == "finished"
    assert final(tmp_path / "replayed") == final(tmp_path / "plain")


@pytest.mark.parametrize("bit", [0, 30])
def test_a_bit_flipped_in_a_gradient_is_caught_at_the_replayed_step(layers, tmp_path, monkeypatch, bit):
    calls = []

    def flipping(objective, windows, micro_batch, precision, watcher=None):
        loss = backward(objective, windows, micro_batch, precision, watcher)
        calls.append(watcher is not None)
        if len(calls) == 6:  # the first of the two of step 6
            found = next(one.grad for name, one in models[0].named_parameters() if name.endswith("down.weight"))
            found.view(torch.int32).view(-1)[7] ^= 1 << bit
        return loss

    def begin(model, *rest):
        models.append(model)
        calls.clear()  # those of the trial before the first step

    models: list[GPT] = []
    monkeypatch.setattr("chainrule.train.step.backward", flipping)
    Planted(monkeypatch, {1: begin})
    run = tmp_path / "run"
    with pytest.raises(TrainingError) as caught:
        pretrain(layers(training={**SHORT, "replay_every": 6}), run)
    told = str(caught.value)
    assert "step 6, made twice" in told and "1 elements of 1 of" in told and "down.weight" in told
    assert "memtest86+" in told and f"--resume {run}` goes on from step 4" in told
    assert steps_of(run / "spikes") == [6]
    monkeypatch.undo()
    assert pretrain([], run, resume=True).status == "finished"


def test_a_replay_is_refused_where_bits_do_not_repeat_or_nothing_is_kept(layers):
    config = resolve(layers(training={"replay_every": 5})).config
    check_replay(config, SimpleNamespace(device="cpu"))
    with pytest.raises(ConfigError, match="compares bits, and cuda"):
        check_replay(config, SimpleNamespace(device="cuda"))
    with pytest.raises(ConfigError, match=r"for which training\.health_every is needed"):
        resolve(layers(training={"replay_every": 5, "health_every": 0}))
