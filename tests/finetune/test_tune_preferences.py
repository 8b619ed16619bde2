"""Preference tuning in the trainer's loop: it begins at ln 2 exactly, the margin grows, and it goes on bit for bit."""

import json
import math
import shlex
import shutil
from pathlib import Path

import pytest
import torch
from finetune.conftest import make_base
from finetune.test_tune import FAST

from chainrule.base import ConfigError, TrainingError
from chainrule.checkpoint import open_model, read_tensors, step_folder
from chainrule.config import Layer
from chainrule.finetune import TuningSettings, finetune, resume_finetune
from chainrule.finetune.groups import GroupBatches, Groups
from chainrule.finetune.lessons import lesson_of_run
from chainrule.run import EvalRow, PreferenceRow, RunFolder, Summary, TrainRow, read_tuning, rows_of

RATE = {"optimizer": {"lr": 1e-3}}


def pairs_file(path: Path, n: int = 18) -> Path:
    rows = [{"prompt": f"say {number}", "chosen": f"yes, {number}.", "rejected": f"no {number}"} for number in range(n)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def tuned(base: Path, rows: Path, run: Path, objective: str, **more: object) -> Summary:
    settings = TuningSettings(**{"epochs": 3, "probe": False, "objective": objective, "batch_examples": 8, **more})  # type: ignore[arg-type]
    return finetune(str(base), [str(rows)], run, settings=settings, layers=[Layer("a", FAST), Layer("b", RATE)])


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("runs") / "loud", loud=25.0, drop_rate=0.1)


@pytest.fixture(scope="module")
def dpo(loud: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Summary]:
    folder = tmp_path_factory.mktemp("dpo")
    summary = tuned(loud, pairs_file(folder / "pairs.jsonl"), folder / "run", "dpo", adapter="lora")
    return RunFolder(folder / "run"), summary


def test_dpo_begins_at_ln_2_and_margin_0_exactly_and_the_margin_grows(dpo: tuple[RunFolder, Summary]) -> None:
    run, summary = dpo
    rows = list(rows_of(run.metrics, PreferenceRow))
    assert rows[0].margin == 0 and rows[0].loss == pytest.approx(math.log(2), rel=1e-7) and rows[0].right == 0
    first = next(rows_of(run.metrics, TrainRow))
    assert first.loss == pytest.approx(math.log(2), rel=1e-6)
    assert rows[-1].margin is not None and rows[-1].margin > 1 and rows[-1].right == rows[-1].n == 2
    looks = list(rows_of(run.metrics, EvalRow))
    assert looks[-1].val_loss == rows[-1].loss < looks[0].val_loss, "the loss that chooses the best is the objective's"
    found = {task.task: (task.right, task.n) for task in summary.tasks}
    assert found["preferred"] == (2, 2) and summary.val_perplexity is None
    assert open_model(run.path).config.drop_rate == 0, "dropout would part the policy from its reference"


def test_a_resume_reads_what_the_model_thought_and_goes_on_bit_for_bit(
    dpo: tuple[RunFolder, Summary], tmp_path: Path
) -> None:
    run, summary = dpo
    again = RunFolder(tmp_path / "again")
    shutil.copytree(run.path, again.path)
    shutil.rmtree(step_folder(again.checkpoints, summary.step))
    again.summary.unlink()
    assert resume_finetune(again.path).val_loss == summary.val_loss
    ours, theirs = (
        read_tensors(step_folder(one.checkpoints, summary.step) / "adapter_model.safetensors") for one in (run, again)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_with_all_weights_what_the_model_thought_cannot_be_asked_again(loud: Path, tmp_path: Path) -> None:
    summary = tuned(loud, pairs_file(tmp_path / "pairs.jsonl"), tmp_path / "run", "ipo", strength=0.5)
    run = RunFolder(tmp_path / "run")
    tuning = read_tuning(run)
    assert tuning is not None and tuning.strength == 0.5 and tuning.lora is None
    shutil.rmtree(step_folder(run.checkpoints, summary.step))
    run.summary.unlink()
    run.reference.unlink()
    with pytest.raises(TrainingError, match=r"reference\.safetensors is gone"):
        resume_finetune(run.path)


@pytest.mark.parametrize("objective", ["orpo", "simpo"])
def test_objectives_without_a_reference_are_learnt_too(objective: str, loud: Path, tmp_path: Path) -> None:
    summary = tuned(loud, pairs_file(tmp_path / "pairs.jsonl"), tmp_path / "run", objective, adapter="lora")
    rows = list(rows_of(RunFolder(tmp_path / "run").metrics, PreferenceRow))
    assert summary.status == "finished" and rows[-1].margin is not None and rows[-1].margin > 0.5


def test_kto_learns_from_rated_answers(loud: Path, tmp_path: Path) -> None:
    told = [
        {"prompt": f"say {n}", "completion": f"yes, {n}." if n % 3 else f"no {n}", "label": bool(n % 3)}
        for n in range(30)
    ]
    (tmp_path / "rated.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    tuned(loud, tmp_path / "rated.jsonl", tmp_path / "run", "kto", adapter="lora", held_out=0.2)
    run = RunFolder(tmp_path / "run")
    rows = list(rows_of(run.metrics, PreferenceRow))
    assert rows[0].margin == 0 and rows[0].loss == pytest.approx(0.5), (
        "each answer gains or loses one half at the start"
    )
    assert rows[-1].n == 6 and rows[-1].right >= 5 and (rows[-1].margin or 0) > 1
    lesson = lesson_of_run(run, open_config(run))
    good = lesson.groups.good  # type: ignore[attr-defined]
    assert set(good.flatten().tolist()) == {True, False}


def open_config(run: RunFolder) -> object:
    from chainrule.config import load_toml, resolve

    return resolve([load_toml(run.config)]).config


def test_all_answers_to_a_prompt_are_on_one_side(loud: Path, tmp_path: Path) -> None:
    told = [{"prompt": f"say {n // 3}", "chosen": f"yes {n}", "rejected": f"no {n}"} for n in range(30)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    tuned(loud, tmp_path / "pairs.jsonl", tmp_path / "run", "dpo", epochs=0.1, adapter="lora", held_out=0.3)
    tuning = read_tuning(RunFolder(tmp_path / "run"))
    assert tuning is not None and (tuning.n_train, tuning.n_held_out) == (21, 9)


def test_rows_for_another_objective_are_refused_with_the_word_to_say(loud: Path, closed: Path, tmp_path: Path) -> None:
    pairs = pairs_file(tmp_path / "pairs.jsonl")
    with pytest.raises(ConfigError, match="--objective dpo"):
        tuned(loud, pairs, tmp_path / "one", "answers")
    with pytest.raises(ConfigError, match="is no pair of answers"):
        tuned(loud, closed, tmp_path / "two", "dpo")
    with pytest.raises(ConfigError, match="does not say how good its answer is"):
        tuned(loud, closed, tmp_path / "three", "kto")
    assert not any((tmp_path / name).exists() for name in ("one", "two", "three"))


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"objective": "dpo", "replay": 0.1}, "replay"),
        ({"objective": "dpo", "strength": -1.0}, "beta=-1"),
        ({"objective": "answers", "strength": 0.1}, "belongs to an objective for preferences"),
        ({"objective": "grpo"}, "unknown"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(more: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        TuningSettings(**more)  # type: ignore[arg-type]


def test_each_epoch_has_every_group_once_and_a_group_never_comes_apart(dpo: tuple[RunFolder, Summary]) -> None:
    groups: Groups = lesson_of_run(dpo[0], open_config(dpo[0])).groups  # type: ignore[attr-defined]
    batches = GroupBatches(groups, seed=3)
    rows, n = groups.n_rows, len(groups)
    assert n == 3 and rows == 14, "sixteen pairs, seven at a time"
    epoch = batches.windows(n * rows, n * rows).ids.reshape(n, rows, -1)
    known = {group.tobytes() for group in groups.ids}
    assert {group.tobytes() for group in epoch} == known and len(known) == n
    apart = [batches.windows(n * rows + k * rows, rows).ids for k in range(n)]
    assert all((one == part).all() for one, part in zip(apart, epoch, strict=True))


def test_the_command_in_the_summary_teaches_the_same_again(dpo: tuple[RunFolder, Summary]) -> None:
    summary = dpo[1]
    assert summary.command is not None
    words = shlex.split(summary.command)
    assert words[:2] == ["chainrule", "finetune"] and words[3].endswith("pairs.jsonl")
    told = dict(zip(words[4::2], words[5::2], strict=True))
    assert told == {
        **{"--training.steps": str(summary.steps), "--optimizer.lr": "0.001", "--objective": "dpo"},
        **{"--adapter": "lora", "--rank": "16"},
    }
