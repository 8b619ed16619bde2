"""A whole fine-tuning: the trainer's own run folder, from which the taught model opens and goes on."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from finetune.conftest import make_base
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES, ChainruleError, ConfigError, DataError, DiskError, RunError
from chainrule.checkpoint import open_model
from chainrule.config import Layer
from chainrule.data import open_dataset
from chainrule.finetune import Span, TuningSettings, finetune, resume_finetune
from chainrule.finetune.answering import Question, answers
from chainrule.run import (
    AnswersRow,
    EvalRow,
    RunFolder,
    Sample,
    Summary,
    TrainRow,
    read_start,
    read_summary,
    read_tuning,
    rows_of,
)
from chainrule.train import pretrain

FAST = {
    "optimizer": {"kind": "adamw", "lr": 1e-2},
    "training": {"eval_every": 10, "sample_every": 10, "save_every": 5, "keep_last": 5},
    "machine": {"device": "cpu", "precision": "float32", "threads": 1},
}
QUICK = TuningSettings(epochs=1, probe=False)


def tuned(base: Path, rows: Path, run: Path, settings: TuningSettings = QUICK, **more: Any) -> Summary:
    return finetune(str(base), [str(rows)], run, settings=settings, layers=[Layer("test", FAST)], **more)


@pytest.fixture(scope="module")
def finished(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Summary, list[Any]]:
    """A run of twenty steps, and what was shown before it."""
    folder = tmp_path_factory.mktemp("tuned")
    rows = folder / "rows.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"prompt": f"say {c} {n}", "completion": c}) + "\n" for n in range(20) for c in ("red", "blue")
        )
    )
    shown: list[Any] = []

    def show(examples: Sequence[Sequence[Span]]) -> None:
        assert not (folder / "run" / "metrics.jsonl").exists(), "before the first step"
        shown.extend(examples)

    summary = tuned(base, rows, folder / "run", TuningSettings(epochs=20, probe=False), show=show)
    return RunFolder(folder / "run"), summary, shown


def test_the_answers_are_learnt_and_the_figures_say_so(finished: tuple[RunFolder, Summary, list[Any]]) -> None:
    run, summary, _ = finished
    assert summary.status == "finished" and read_summary(run).val_loss == summary.val_loss
    looks = list(rows_of(run.metrics, EvalRow))
    assert looks[0].step == 0 and looks[-1].val_loss < looks[0].val_loss / 4
    answered = list(rows_of(run.metrics, AnswersRow))
    assert [row.step for row in answered] == [row.step for row in looks]
    assert answered[-1].stopped == 1.0 and answered[-1].exact >= answered[0].exact == 0.0
    assert {task.task: task.n for task in summary.tasks} == {"exact-match": 4, "stopped": 4}
    assert summary.new is not None and summary.new.after < summary.new.before
    assert len(list(rows_of(run.metrics, TrainRow))) == summary.steps
    prompts = [row.prompt for row in rows_of(run.samples, Sample)]
    assert prompts[0].startswith("<|im_start|>user\nsay ") and set(prompts[:3]) == set(prompts)


def test_the_first_examples_are_shown_from_the_tensors(finished: tuple[RunFolder, Summary, list[Any]]) -> None:
    _, _, shown = finished
    assert len(shown) == 2
    learnt = "".join(span.text for span in shown[0] if span.learnt)
    assert learnt in ("red<|im_end|>", "blue<|im_end|>")


def test_the_taught_model_opens_with_its_template_and_answers(finished: tuple[RunFolder, Summary, list[Any]]) -> None:
    run, _, _ = finished
    opened = open_model(run.path)
    assert opened.template is not None and opened.tokenizer.vocab_size == opened.config.vocab_size == 259
    assert opened.config.context_length == 96, "the context is the base model's, however short the windows are"
    prompt = opened.template.encode(opened.tokenizer, [{"role": "user", "content": "say red 3"}], reply=True)
    (answer,) = answers(
        opened.model, [Question(tuple(prompt), ())], opened.template.stop, most_tokens=20, n_choices=259
    )
    assert opened.tokenizer.decode(answer.ids) in ("red", "blue") and answer.stopped


def test_what_was_taught_is_written_down(finished: tuple[RunFolder, Summary, list[Any]]) -> None:
    run, _, _ = finished
    tuning = read_tuning(run)
    assert tuning is not None
    assert (tuning.n_train, tuning.n_held_out, tuning.shapes) == (36, 4, {"completion": 40})
    learnt = {"red": 4, "blue": 5}
    assert tuning.trained_tokens in range(36 * min(learnt.values()), 36 * max(learnt.values()) + 1)
    assert open_dataset(run.data, verify=True).split("train").n_documents == 36
    told = read_start(run).data
    assert told is not None and told.copied is None and (told.files, told.documents) == (1, 40)
    assert 15 < (told.epochs or 0) < 45, "twenty times, and padding, whatever the context"


def test_new_tokens_are_learnt_from_the_first_step(base: Path, closed: Path, tmp_path: Path) -> None:
    tuned(base, closed, tmp_path / "run", TuningSettings(epochs=0.01, probe=False))
    before, after = open_model(base).model, open_model(tmp_path / "run").model
    rows = after.token_embedding.weight[257:]
    mean = before.token_embedding.weight.mean(0)
    assert (torch.linalg.vector_norm(rows - mean, dim=1) > 0.003).all()


def test_a_resume_goes_on_bit_for_bit(finished: tuple[RunFolder, Summary, list[Any]], tmp_path: Path) -> None:
    run, summary, _ = finished
    again = RunFolder(tmp_path / "again")
    shutil.copytree(run.path, again.path)
    shutil.rmtree(again.checkpoints / f"step-{summary.steps:08d}")
    again.summary.unlink()
    resumed = resume_finetune(again.path)
    assert (resumed.step, resumed.val_loss) == (summary.step, summary.val_loss)
    first, second = open_model(run.path).model.state_dict(), open_model(again.path).model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_resume_notices_a_mask_that_was_changed(
    finished: tuple[RunFolder, Summary, list[Any]], tmp_path: Path
) -> None:
    run, summary, _ = finished
    shutil.copytree(run.path, tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / f"step-{summary.steps:08d}")
    (tmp_path / "again" / "summary.json").unlink()
    path = tmp_path / "again" / "data" / "trained.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(DataError, match="was changed"):
        resume_finetune(tmp_path / "again")


def test_each_kind_of_run_goes_on_by_its_own_command(
    finished: tuple[RunFolder, Summary, list[Any]], base: Path
) -> None:
    with pytest.raises(RunError, match="chainrule finetune --resume"):
        pretrain([], finished[0].path, resume=True)
    with pytest.raises(RunError, match="no run of fine-tuning"):
        resume_finetune(base)


def test_a_taught_model_can_be_taught_more(
    finished: tuple[RunFolder, Summary, list[Any]], closed: Path, tmp_path: Path
) -> None:
    tuned(finished[0].path, closed, tmp_path / "more")
    first, second = open_model(finished[0].path), open_model(tmp_path / "more")
    assert second.template == first.template and second.tokenizer.fingerprint == first.tokenizer.fingerprint


def test_a_model_with_learned_positions_is_taught_one_example_a_window(closed: Path, tmp_path: Path) -> None:
    learned = {"position": "learned", "norm": "layernorm", "activation": "gelu", "bias": True, "qk_norm": False}
    base = make_base(tmp_path / "base", **learned)
    said: list[str] = []
    summary = tuned(base, closed, tmp_path / "run", watch=lambda one: said.append(getattr(one, "message", "")))
    assert summary.status == "finished"
    assert any("54 examples in 54 windows" in one for one in said)


def test_base_text_tells_what_is_forgotten_and_is_mixed_in(base: Path, closed: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(8):
        (texts / f"{number}.txt").write_text(f"{number} the sea and the old man " * 30)
    settings = TuningSettings(epochs=2, probe=False, base_text=(str(texts),), replay=0.2)
    summary = tuned(base, closed, tmp_path / "run", settings)
    assert summary.old is not None and summary.old.before > 0
    row = next(iter(rows_of(RunFolder(tmp_path / "run").metrics, AnswersRow)))
    assert row.base_bits_per_byte is not None and row.base_bits_per_byte > 0


def test_minutes_decide_the_steps(base: Path, closed: Path, tmp_path: Path) -> None:
    summary = tuned(base, closed, tmp_path / "run", TuningSettings(probe=False), minutes=0.1)
    assert summary.status == "finished" and summary.steps >= 1


def refused(rows: list[dict[str, Any]], settings: TuningSettings, fault: type[ChainruleError], message: str) -> Any:
    return rows, settings, fault, message


@pytest.mark.parametrize(
    ("rows", "settings", "fault", "message"),
    [
        refused([{"prompt": "a", "completion": "b"}], QUICK, DataError, "at least two"),
        refused([{"prompt": "a", "completion": "b"}] * 9, QUICK, DataError, "1 of them different"),
        refused([{"prompt": "a", "completion": "b" * 500}] * 3, QUICK, DataError, "3 of 3 rows"),
        refused([{"prompt": "a", "chosen": "b", "rejected": "c"}] * 3, QUICK, ConfigError, "which answer is better"),
        refused([{"q": "a"}], QUICK, DataError, "rows.jsonl:1: has the columns 'q'"),
        refused(
            [{"prompt": f"a{n}", "completion": "b"} for n in range(9)],
            TuningSettings(replay=0.1, probe=False),
            ConfigError,
            "none is known; give some by --text",
        ),
        # Before the examples are looked at, which take longer.
        refused([{"q": "a"}], TuningSettings(base_text=("nowhere.txt",)), DataError, r"nowhere.txt \(--text\)"),
    ],
)
def test_what_cannot_be_taught_is_refused_and_leaves_no_folder(
    base: Path,
    tmp_path: Path,
    rows_file: Callable[..., Path],
    rows: list[dict[str, Any]],
    settings: TuningSettings,
    fault: type[ChainruleError],
    message: str,
) -> None:
    with pytest.raises(fault, match=message):
        tuned(base, rows_file(*rows), tmp_path / "run", settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", [{"objective": "x"}, {"too_long": "x"}, {"epochs": 0}, {"replay": 1.0}])
def test_settings_that_are_none_are_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TuningSettings(**more)


def test_a_start_that_a_kill_ended_is_begun_anew_by_the_same_command(base: Path, tmp_path: Path) -> None:
    rows, run = tmp_path / "rows.jsonl", tmp_path / "run"
    rows.write_text("".join(json.dumps({"prompt": f"say {n}", "completion": "red"}) + "\n" for n in range(12)))

    class DiedError(Exception):
        """Like a kill: nothing is tidied up."""

    def die(record: object) -> None:
        raise DiedError

    for _ in range(2):
        with pytest.raises(DiedError):
            tuned(base, rows, run, watch=die)
        with pytest.raises(RunError, match="give the command that began it once more: the name is free"):
            resume_finetune(run)
    assert tuned(base, rows, run).status == "finished"


def test_a_fine_tuning_without_room_is_refused_before_its_probe(base: Path, tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk", 8 << 20)
    try:
        rows = tmp_path / "rows.jsonl"
        rows.write_text("".join(json.dumps({"prompt": f"say {n}", "completion": "red"}) + "\n" for n in range(20)))
        disk.leave(FLOOR_BYTES)
        said: list[str] = []

        def watch(row: Any) -> None:
            said.append(getattr(row, "message", ""))

        with pytest.raises(DiskError, match=r"are needed for its checkpoints: \d of .* at once"):
            tuned(base, rows, disk.folder / "run", TuningSettings(epochs=1), watch=watch)
        assert any(" examples held out" in one for one in said) and not any("overfit probe" in one for one in said)
        assert not (disk.folder / "run").exists()
    finally:
        disk.close()
