"""The steps of runs of every kind are made again: a fork with other settings, fine-tuning, adapters, preferences."""

import json
from pathlib import Path

import pytest
from finetune.conftest import make_base
from finetune.test_tune import FAST
from verify.test_verify import SETTINGS, STEPS

from chainrule.checkpoint import steps_of
from chainrule.config import Layer
from chainrule.finetune import TuningSettings, finetune
from chainrule.model import LoraSettings
from chainrule.run import RunFolder
from chainrule.train import pretrain
from chainrule.verify import verify_run

SAVES = {"save_every": 2, "keep_last": 3, "log_every": 1}
ONE = {"machine": {"device": "cpu", "precision": "float32", "threads": 1}}


@pytest.fixture(scope="module")
def parent(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("parent")
    for number in range(20):
        (folder / f"{number:02}.txt").write_text(f"the old man {number} said that the sea was going home\n" * 4)
    layers = [Layer("tiny", SETTINGS), Layer("text", {"text": {"paths": [str(folder)]}, "training": STEPS})]
    pretrain(layers, folder / "run")
    return folder / "run"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": {"lr": 5e-3}},
        {"training": {"steps": 12, "save_every": 2}},
    ],
    ids=["as it was", "another rate", "more steps"],
)
def test_the_steps_of_a_fork(parent, tmp_path, changes):
    pretrain([Layer("flag", {"origin": {"fork": f"{parent}@4"}, **changes})], tmp_path / "fork")
    hold(RunFolder(tmp_path / "fork"), "lineage")


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    return make_base(tmp_path_factory.mktemp("runs") / "base", loud=25.0, drop_rate=0.1)


LORA = {"adapter": "lora", "lora": LoraSettings(rank=2)}
KINDS = {
    "answers": {},
    "answers with an adapter": LORA,
    "dpo": {"objective": "dpo"},
    "dpo with an adapter": {"objective": "dpo", **LORA},
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_of_a_fine_tuning(base, tmp_path, kind):
    more = KINDS[kind]
    keys = ("chosen", "rejected") if "objective" in more else ("completion",)
    rows = [{"prompt": f"say {n}", **{key: f"{key[0]} {n}." for key in keys}} for n in range(16)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = TuningSettings(**{"epochs": 3, "probe": False, "batch_examples": 8, **more})
    layers = [Layer("a", FAST), Layer("b", {"training": SAVES, **ONE})]
    finetune(str(base), [str(tmp_path / "rows.jsonl")], tmp_path / "run", settings=settings, layers=layers)
    hold(RunFolder(tmp_path / "run"), *(("lineage",) if "adapter" in more else ()))


def hold(run: RunFolder, *more: str) -> None:
    """All holds, and steps were made again to the last bit of the checkpoint at their end."""
    found = verify_run(run)
    assert [(one.what, one.state, one.note) for one in found.checks if one.state != "held"] == []
    assert set(more) <= {one.what for one in found.checks}
    assert len(steps_of(run.checkpoints)) > 1 and "to the last bit of all" in found.checks[-1].note
