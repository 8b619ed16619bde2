"""Fine-tuning with an adapter: the base stays, a checkpoint holds what was learnt and knows what it stands on."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from finetune.conftest import make_base
from finetune.test_tune import FAST

from chainrule.base import CheckpointError, ConfigError, LensError, TrainingError
from chainrule.checkpoint import load_checkpoint, open_model, read_tensors, step_folder
from chainrule.config import Layer
from chainrule.evaluate import measure_own
from chainrule.export import export
from chainrule.finetune import TuningSettings, finetune, resume_finetune
from chainrule.finetune.answering import Question, answers
from chainrule.model import LoraSettings
from chainrule.run import RunFolder, Summary, read_tuning
from chainrule.spike.replay import open_bundle

LORA = LoraSettings(rank=4, dora=True)


def tuned(base: Path, rows: Path, run: Path, epochs: float = 1, probe: bool = False, **more: object) -> Summary:
    settings = TuningSettings(epochs=epochs, probe=probe, adapter="lora", lora=LORA)
    return finetune(str(base), [str(rows)], run, settings=settings, layers=[Layer("test", FAST)], **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def loud(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("runs") / "loud", loud=25.0)


@pytest.fixture(scope="module")
def finished(loud: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Summary]:
    """A run with an adapter beside a base of its own, so that both can be moved."""
    folder = tmp_path_factory.mktemp("adapted")
    shutil.copytree(loud, folder / "base")
    rows = folder / "rows.jsonl"
    told = [{"prompt": f"say {c} {n}", "completion": c} for n in range(20) for c in ("red", "blue")]
    rows.write_text("".join(json.dumps(row) + "\n" for row in told))
    summary = tuned(folder / "base", rows, folder / "run", epochs=20)
    return RunFolder(folder / "run"), summary


def test_the_answers_are_learnt_and_the_base_stays(finished: tuple[RunFolder, Summary]) -> None:
    run, summary = finished
    assert summary.status == "finished" and summary.new is not None and summary.new.after < summary.new.before / 3
    taught, base = open_model(run.path), open_model(run.path.parent / "base")
    prompt = taught.template.encode(taught.tokenizer, [{"role": "user", "content": "say red 3"}], reply=True)  # type: ignore[union-attr]
    (answer,) = answers(taught.model, [Question(tuple(prompt), ())], taught.template.stop, most_tokens=9, n_choices=259)  # type: ignore[union-attr]
    assert taught.tokenizer.decode(answer.ids) in ("red", "blue") and answer.stopped
    embeddings = taught.model.token_embedding.weight, base.model.token_embedding.weight
    assert torch.equal(embeddings[0][:257], embeddings[1]), "what the base knew is as it was"
    assert not torch.equal(taught.model.blocks[0].attention.out.weight, base.model.blocks[0].attention.out.weight)


def test_a_checkpoint_holds_the_adapter_and_not_the_base(finished: tuple[RunFolder, Summary]) -> None:
    run, summary = finished
    last = step_folder(run.checkpoints, summary.step)
    assert not (last / "model.safetensors").exists()
    base = sum(file.stat().st_size for file in (run.path.parent / "base").rglob("*.safetensors"))
    assert (last / "adapter_model.safetensors").stat().st_size < base / 2
    rows = read_tensors(last / "rows.safetensors")["token_embedding.weight"]
    assert rows.shape == (2, 48), "the control tokens of the template, and no other embedding"
    words = json.loads((last / "adapter_config.json").read_text())
    assert (words["r"], words["use_dora"], words["trainable_token_indices"]) == (4, True, [257, 258])
    tuning = read_tuning(run)
    assert tuning is not None and tuning.lora is not None and tuning.lora.base_step == 1
    assert load_checkpoint(last).state["adapter"]["sha256"] == tuning.lora.base_sha256


def test_a_resume_goes_on_bit_for_bit(finished: tuple[RunFolder, Summary], tmp_path: Path) -> None:
    run, summary = finished
    shutil.copytree(run.path.parent, tmp_path / "there")
    again = RunFolder(tmp_path / "there" / "run")
    shutil.rmtree(step_folder(again.checkpoints, summary.step))
    again.summary.unlink()
    assert resume_finetune(again.path).status == "finished"
    for stem in ("adapter_model", "rows", "optimizer"):
        ours, theirs = (
            read_tensors(step_folder(one.checkpoints, summary.step) / f"{stem}.safetensors") for one in (run, again)
        )
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_base_that_moved_with_its_run_is_found_and_another_one_is_refused(
    finished: tuple[RunFolder, Summary], tmp_path: Path, loud: Path
) -> None:
    shutil.copytree(finished[0].path, tmp_path / "runs" / "run")
    tuning = tmp_path / "runs" / "run"
    shutil.move(finished[0].path.parent / "base", tmp_path / "runs" / "base")
    try:
        assert open_model(tuning).step == finished[1].step
        shutil.move(tmp_path / "runs" / "base", tmp_path / "runs" / "elsewhere")
        with pytest.raises(CheckpointError, match=r"holds an adapter alone.*Bring .*base back"):
            open_model(tuning)
        make_base(tmp_path / "runs" / "base", emb_dim=40)
        with pytest.raises(CheckpointError, match="made for another base"):
            open_model(tuning)
    finally:
        shutil.copytree(loud, finished[0].path.parent / "base", dirs_exist_ok=True)


def test_the_probe_learns_by_heart_with_the_adapter(loud: Path, closed: Path, tmp_path: Path) -> None:
    tuned(loud, closed, tmp_path / "run", epochs=0.01, probe=True)
    told = RunFolder(tmp_path / "run").events.read_text()
    assert "8 of 8 rows answered word for word" in told


def test_a_start_that_fails_late_leaves_nothing(base: Path, closed: Path, tmp_path: Path) -> None:
    settings = TuningSettings(epochs=1, probe=False, adapter="lora", lora=LoraSettings(rank=49))
    with pytest.raises(ConfigError, match=r"rank=49 is more than attention\.qkv has inputs"):
        finetune(str(base), [str(closed)], tmp_path / "run", settings=settings, layers=[Layer("test", FAST)])
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
def test_peft_reads_the_checkpoint_of_a_run_and_an_adapter_stands_on_another(
    finished: tuple[RunFolder, Summary], tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    run = finished[0]
    export(run.path, tmp_path / "words")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"say {n}", "completion": str(n)}) + "\n" for n in range(9)))
    for base, name in ((tmp_path / "words", "onto_folder"), (run.path, "onto_adapter")):
        tuned(base, rows, tmp_path / name, epochs=3)
    first, second = (open_model(tmp_path / name).model for name in ("onto_folder", "onto_adapter"))
    ids = torch.arange(40)[None] % 250
    assert (first(ids) - second(ids)).abs().max() < 1e-3, "the folder is the run, and both learnt alike"
    checkpoint = max((tmp_path / "onto_folder" / "checkpoints").iterdir())
    theirs = peft.PeftModel.from_pretrained(
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "words"), checkpoint
    ).eval()
    assert (theirs(ids).logits - first(ids)).abs().max() < 1e-4
    assert (open_model(tmp_path / "words").model(ids) - first(ids)).abs().max() > 1e-2, "something was learnt"


def test_an_adapter_that_no_gradient_reaches_ends_the_run(
    base: Path, closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chainrule.model.lora_linear.Adapter.add", lambda self, x, y, weight, bias: y)
    with pytest.raises((TrainingError, RuntimeError), match=r"adds nothing|does not require grad"):
        tuned(base, closed, tmp_path / "run")


def test_a_step_of_an_adapter_is_not_made_again_as_one_of_all_weights(
    finished: tuple[RunFolder, Summary], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(finished[0].path, run.path)
    step_folder(run.spikes, 3).mkdir(parents=True)
    with pytest.raises(LensError, match="learnt an adapter, and a step of that kind is not made again yet"):
        open_bundle(run)


def test_a_figure_of_other_tokens_is_not_called_another_machines(finished: tuple[RunFolder, Summary]) -> None:
    found = measure_own(open_model(finished[0].path), str(finished[0].path))
    assert "of held-out answers alone" in found.said[-1] and "other machine" not in " ".join(found.said)
