"""The plan's memory beside the peak of processes that train: shapes x optimizers, health on.

    python benchmarks/memory.py [--shapes quickstart small ...] [--kinds adamw muon] [--precision float32] [--updates 3]

Each row is a process of its own: whole updates of random tokens with the update's norms measured, as a run does, and a
look at held-out text. The heap still grows a little after the default of three updates (by 4 to 6 % in ten).
Its peak is ru_maxrss, which neither text nor tokenizer is part of. Target: within 10 %.
"""

import argparse
import json
import resource
import subprocess
import sys
from typing import Any

import numpy as np
from about import print_about

from chainrule.base import bytes_text
from chainrule.config import Config, Layer, modern, resolve
from chainrule.plan import memory_bytes, parameters

TARGET = 0.10
GPT2 = {"vocab_size": 50257, "context_length": 512, "emb_dim": 768, "n_heads": 12, "n_layers": 12, "drop_rate": 0.0}
# Settings of the model, windows of a batch and of a forward pass.
SHAPES: dict[str, tuple[dict[str, Any], int, int]] = {
    "quickstart": (dict(modern(192, 3, 4, 256, 2048)["model"]), 8, 8),
    "small": (dict(modern(256, 4, 6, 512, 4096)["model"]), 8, 4),
    "medium": (dict(modern(384, 6, 8, 512, 8192)["model"]), 8, 4),
    "gpt2": (GPT2, 2, 1),
    "logits": (dict(modern(256, 4, 2, 512, 50257)["model"]), 16, 16),
    # The plan's constants were fitted on those above; these two are others.
    "deep": (dict(modern(128, 4, 12, 256, 1024)["model"]), 16, 8),
    "long": (dict(modern(512, 8, 4, 1024, 16384)["model"]), 4, 2),
}


def configured(shape: str, kind: str) -> tuple[Config, int]:
    """The run's settings and its micro-batch."""
    model, windows, micro_batch = SHAPES[shape]
    tokens = windows * int(model["context_length"])
    values = {"model": model, "optimizer": {"kind": kind}, "training": {"batch_tokens": tokens, "steps": 100}}
    return resolve([Layer("shape", values)]).config, micro_batch


def child(shape: str, kind: str, precision: str, updates: int) -> None:
    """Trains and evaluates, and prints the peak."""
    import torch

    from chainrule.base import freed_memory_kept
    from chainrule.data import Windows
    from chainrule.device import Precision
    from chainrule.health import NormMeter
    from chainrule.train.objective import NextToken
    from chainrule.train.state import TrainState
    from chainrule.train.step import StepResult, StepSettings, train_step

    config, micro_batch = configured(shape, kind)
    used = Precision("cpu", precision)

    class Watcher:
        """What health does to the update of every step."""

        def first_portion(self, n_windows: int) -> None: ...

        def before_update(self, norms: Any, result: StepResult) -> None:
            self.gradients = norms

        def moving(self, parameters: Any) -> Any:
            return meter.moving(parameters)

        def after_update(self) -> None:
            meter.measure(self.gradients)

    with freed_memory_kept():
        state = TrainState.fresh(config, used)
        meter = NormMeter(state.model)
        shape_of_ids = (config.batch_windows, config.model.context_length + 1)
        windows = Windows(np.random.default_rng(0).integers(0, config.model.vocab_size, shape_of_ids), None)
        for _ in range(updates):
            train_step(
                state.model,
                state.optimizer,
                NextToken(state.model.loss),
                windows,
                StepSettings(factor=0.1, micro_batch=micro_batch, grad_clip=1.0, precision=used),
                Watcher(),
            )
        state.model.eval()
        ids = torch.from_numpy(np.resize(windows.ids, (8, windows.ids.shape[1])))
        with torch.no_grad(), used.autocast():
            state.model.token_losses(ids[:, :-1], ids[:, 1:])
    unit = 1 if sys.platform == "darwin" else 1024
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit))


def main() -> None:
    """Prints a row for each shape and optimizer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--kinds", nargs="+", default=["adamw", "muon"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--child", nargs=2)
    options = parser.parse_args()
    if options.child:
        shape, kind = options.child
        child(shape, kind, options.precision, options.updates)
        return
    print_about()
    for shape in options.shapes:
        for kind in options.kinds:
            command = [sys.executable, __file__, "--child", shape, kind, "--precision", options.precision]
            command += ["--updates", str(options.updates)]
            peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            config, micro_batch = configured(shape, kind)
            planned = memory_bytes(config, micro_batch=micro_batch, precision=options.precision)
            off = planned.total / peak - 1
            parts = ", ".join(f"{name} {bytes_text(value)}" for name, value in planned.components().items())
            print(
                f"{shape:>10} {kind:>5} {parameters(config.model).total / 1e6:6.1f}M: planned "
                f"{bytes_text(planned.total)}, measured {bytes_text(peak)} ({off:+.0%}"
                f"{'' if abs(off) <= TARGET else ', beyond the target'}); {parts}",
                flush=True,
            )


if __name__ == "__main__":
    main()
