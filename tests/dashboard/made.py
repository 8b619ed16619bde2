"""Run folders as a trainer leaves them or still writes them, of any length, without training."""

import json
import math
import os
import platform
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from chainrule.base import write_json
from chainrule.config import Layer, preset, resolve, to_toml
from chainrule.run import RunFolder, append_row

BATCH = 4096
LAYERS = (
    "token_embedding",
    *(f"blocks.{n}.{part}" for n in range(3) for part in ("attention", "feed_forward")),
    "head",
)
WORDS = (
    "tne a_ ,in se e the\n\n  )or",
    "the the of and the sea of the man",
    "the man went to the sea, and the sea was great",
    "And the man went down unto the sea, and said unto them, Be not afraid; for the sea is calm.",
)


def loss_at(share: float, seed: int = 0) -> float:
    """A curve of the usual shape, from ln 512 down."""
    return 2.0 + 2.2 * math.exp(-share * 40) + 2.0 * math.exp(-share * 4) + 0.04 * seed


def train_rows(
    steps: Sequence[int], total: int, *, seed: int = 0, spikes: Sequence[int] = ()
) -> Iterator[dict[str, Any]]:
    """Rows of metrics.jsonl, a look at held-out text each hundredth of the way."""
    dice = random.Random(seed)
    look = max(1, total // 60)
    for step in steps:
        at = {"step": step, "tokens": step * BATCH, "seconds": round(step * 0.31, 3)}
        loss = loss_at(step / total, seed)
        noisy = 9.5 if step in spikes else loss * (1 + 0.03 * dice.gauss(0, 1))
        rate = 4e-3 * min(1, 20 * step / total) * (0.1 + 0.45 * (1 + math.cos(math.pi * step / total)))
        speed = {"tokens_per_second": 13_200 + 200 * dice.gauss(0, 1), "peak_share": 0.41}
        yield {
            **{"kind": "train", **at, "loss": round(noisy, 5), "lr": rate, "grad_norm": 0.4 + 3 / (step + 2)},
            **speed,
            "seconds_left": round((total - step) * 0.31, 1),
        }
        if step % look == 0:
            held_out = loss + 0.08 + 0.006 * dice.gauss(0, 1)
            yield {"kind": "eval", **at, "val_loss": held_out, "val_bits_per_byte": held_out / math.log(2) / 2.9}


def make_run(
    path: Path,
    *,
    steps: int = 600,
    done: int | None = None,
    seed: int = 0,
    finished: bool = True,
    running: bool = False,
    spikes: Sequence[int] = (),
    text: str | None = None,
    settings: dict[str, dict[str, Any]] | None = None,
) -> RunFolder:
    """A run of `steps`, of which `done` are done; `running`: this process holds it. `text` is what its samples say."""
    run, done = RunFolder(path), steps if done is None else done
    run.path.mkdir(parents=True)
    resolved = resolve([preset("cpu-tiny"), Layer("here", settings or {})])
    run.config.write_text(to_toml(resolved.config, resolved.sources), encoding="utf-8")
    write_json(run.machine, _start(steps))
    run.data.mkdir()
    write_json(run.manifest, {"vocab_size": 512, "fingerprint": "f" * 64, "report": {"epochs": 2.2}})
    add_rows(run, train_rows(range(1, done + 1), steps, seed=seed, spikes=spikes))
    _write_samples(run, steps, done, text)
    _write_health(run, steps, done)
    append_row(run.events, {"time": "2026-03-01 10:00:00", "step": 0, "message": "started on cpu"})
    for step in range(steps // 4, done + 1, max(1, steps // 4)):
        folder = run.checkpoints / f"step-{step:08d}"
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"0" * 5_000)
    if running:
        write_json(run.path / "lock.json", {"pid": os.getpid(), "host": platform.node(), "since": "now"})
    elif finished:
        _write_summary(run, steps, seed)
    return run


def add_rows(run: RunFolder, rows: Iterator[dict[str, Any]]) -> None:
    """More rows at the end of metrics.jsonl, in one go."""
    with run.metrics.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def _start(steps: int) -> dict[str, Any]:
    machine = {
        "cpu": "AMD EPYC 9R14",
        "cores": 2,
        "threads": 2,
        "memory_bytes": 8 * 2**30,
        "device": "cpu",
        "reason": "no CUDA device and no Apple GPU were found",
        "precision": "bfloat16",
        "peak_flops": 1.3e12,
        "torch": "2.13.0",
    }
    plan = {
        "architecture": "qwen3",
        "parameters": 2_181_312,
        "steps": steps,
        "tokens": steps * BATCH,
        "batch_tokens": BATCH,
        "flops_per_token": 1.4e7,
        "memory_bytes": 700 * 2**20,
        "seconds": steps * 0.31,
    }
    return {"machine": machine, "plan": plan, "data": {"epochs": 2.2}}


def _write_samples(run: RunFolder, steps: int, done: int, text: str | None) -> None:
    with run.samples.open("a", encoding="utf-8") as stream:
        for step in range(0, done + 1, max(1, steps // 12)):
            stage = WORDS[min(3, 5 * step // steps)]
            for prompt in ("And it came", "In the beginning", "The king"):
                row = {"step": step, "prompt": prompt, "text": text or f" {stage}" * (1 + 2 * step // steps)}
                stream.write(json.dumps(row) + "\n")


def _write_health(run: RunFolder, steps: int, done: int) -> None:
    dice = random.Random(1)
    append_row(run.health, {"kind": "layers", "layers": list(LAYERS), "samples": 16, "sample_tokens": 256})
    n = len(LAYERS)
    with run.health.open("a", encoding="utf-8") as stream:
        for step in range(1, done + 1, max(1, steps // 60)):
            gradient = [0.3 * math.exp(-0.1 * k) * (1 + dice.random()) / (1 + 4 * step / steps) for k in range(n)]
            ratio = [1e-3 * (1 + dice.random()) for _ in range(n)]
            row = {"kind": "norms", "step": step, "gradient": gradient, "gradient_max": gradient, "weight": [1.0] * n}
            stream.write(json.dumps({**row, "ratio": ratio, "ratio_max": ratio, "n": 10}) + "\n")
        for step in range(1, done + 1, max(1, steps // 10)):
            outputs = {name: [0.0, 1 + k / 4 + step / steps, 6.0, 0.0] for k, name in enumerate(LAYERS)}
            attention = {
                name: {"entropy": [0.6, 0.7], "largest_logit": 3.0 + k} for k, name in enumerate(LAYERS[1:-1:2])
            }
            stream.write(
                json.dumps({"kind": "inside", "step": step, "outputs": outputs, "attention": attention}) + "\n"
            )


def _write_summary(run: RunFolder, steps: int, seed: int) -> None:
    loss = loss_at(1.0, seed) + 0.05
    summary = {
        "status": "finished",
        "step": steps,
        "steps": steps,
        "tokens": steps * BATCH,
        "seconds": steps * 0.31,
        "total_seconds": steps * 0.31 + 20,
        "val_loss": loss,
        "val_bits_per_byte": loss / math.log(2) / 2.9,
        "parameters": 2_181_312,
        "tokens_per_second": 13_200.0,
        "best": {"step": steps, "val_loss": loss},
        "baselines": {"unigram": 2.3, "bigram": 1.75, "gzip": 1.6, "xz": 1.42, "xz_seen": 1.2, "whole": True},
        "completions": [{"prompt": "And it came", "text": " to pass, that the man went down."}],
    }
    write_json(run.summary, summary)
