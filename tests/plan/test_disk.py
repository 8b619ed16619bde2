"""What a checkpoint will take is what it takes."""

import pytest
import torch

from chainrule.checkpoint import save_checkpoint
from chainrule.config import Config, Layer, resolve
from chainrule.model import GPT
from chainrule.optim import Optimizer
from chainrule.plan import checkpoint_bytes, checkpoints_to_come
from chainrule.train.state import Progress, TrainState
from chainrule.train.text_lesson import TextLesson


@pytest.mark.parametrize("kind", ["adamw", "muon"])
@pytest.mark.parametrize("modern", [False, True])
def test_the_bytes_of_a_checkpoint_are_those_of_its_files(kind, modern, tmp_path):
    shape = {"emb_dim": 64, "n_heads": 2, "n_layers": 3, "context_length": 32, "vocab_size": 500}
    names = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "qk_norm": True}
    shape |= {**names, "bias": False, "qkv_bias": False, "tied_embeddings": False} if modern else {}
    layer = Layer("test", {"model": shape, "optimizer": {"kind": kind}})
    config = resolve([layer]).config
    model = GPT(config.model)
    optimizer = Optimizer(model, config, torch.float32)
    model(torch.zeros(1, 8, dtype=torch.long)).sum().backward()
    optimizer.step(1.0)
    folder = save_checkpoint(
        tmp_path, 0, *TrainState(model, optimizer, Progress()).contents(TextLesson().kept(model), {})
    )
    taken = sum(path.stat().st_size for path in folder.iterdir())
    assert taken <= checkpoint_bytes(config) <= 1.1 * taken + 20_000


@pytest.mark.parametrize("keep_last", [1, 2, 4])
@pytest.mark.parametrize("save_every", [1, 3, 100])
def test_as_many_checkpoints_come_as_a_run_holds_at_most(keep_last, save_every):
    training = Config().training.model_copy(update={"steps": 10, "save_every": save_every, "keep_last": keep_last})
    for begun in range(11):
        # The best is the first: it stays, however many come after it.
        there = [step for step in range(1, begun + 1) if step % save_every == 0]
        there = sorted({*there[:1], *there[-keep_last:]})
        most, now = 0, list(there)
        for step in range((there or [0])[-1] + 1, 11):
            if step % save_every == 0 or step == 10:
                now.append(step)
                most = max(most, len(now))
                now = sorted({*now[:1], *now[-keep_last:]})
        assert checkpoints_to_come(training, there) == max(0, most - len(there))
