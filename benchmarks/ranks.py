"""Losses of several processes against one, by layout and optimizer; their speed; and how often a kill costs no bit.

    python benchmarks/ranks.py [--ranks 2 4] [--steps 10] [--speed 5] [--kills 20] [--json benchmarks/ranks.json]

Each line is a layout: how far its losses are from those of one process at most, over all steps, in float32. Processes
of this machine over gloo; nothing here says anything of GPUs. `--speed` times updates of a model of 6 layers of 384 by
two processes of one thread each, and by one process of two threads, in turn, so many rounds: the share of its speed
that a layout keeps (on a quiet machine). `--kills` starts a run on two processes by
`chainrule pretrain --launch local:2`, kills one of them with SIGKILL (the leader and the other in turn) and compares
the last loss with that of a run that nobody touched.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))

from about import print_about  # noqa: E402
from several import alone, own_environment, settings, together  # type: ignore[import-not-found]  # noqa: E402

from chainrule.config import Layer, resolve, to_toml  # noqa: E402
from chainrule.device import look_at_machine  # noqa: E402
from chainrule.plan import Layout  # noqa: E402
from chainrule.rehearse import tiny_layer, write_tiny_text  # noqa: E402
from chainrule.run import RunFolder, TrainRow, rows_of  # noqa: E402
from chainrule.train import pretrain  # noqa: E402

LAYOUTS = {
    2: ("dp=2", "fsdp=2", "tp=2", "pp=2"),
    4: ("dp=4", "fsdp=4", "hsdp=2x2", "tp=4", "pp=4", "dp=2,tp=2", "fsdp=2,tp=2", "dp=2,pp=2", "fsdp=2,pp=2"),
}
KINDS: dict[str, dict[str, Any]] = {
    "adamw": {"optimizer": {"kind": "adamw", "lr": 1e-3}},
    "muon": {"optimizer": {"kind": "muon", "lr": 1e-3, "muon_lr": 0.02}},
}
SHAPES: dict[str, dict[str, Any]] = {
    "modern": {
        **{"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "qk_norm": True, "bias": False},
        **{"n_heads": 8, "n_kv_heads": 4},
    },
    "gpt2": {"norm": "layernorm", "position": "learned", "activation": "gelu", "qkv_bias": True, "n_heads": 4},
}
# 6 layers of 384 and eight windows of 256 tokens; the first updates load what is loaded once.
TIMED: dict[str, Any] = {
    "model": {"emb_dim": 384, "n_layers": 6, "n_heads": 6, "n_kv_heads": 6, "context_length": 256},
    **{"training": {"batch_tokens": 8 * 256}, "steps": 9, "micro_batch": 4},
}
WARM = 3
OTHER_MICRO_BATCHES = (1, 4, 8)
KILLED_STEPS, KILL_FROM = 40, 12


def main() -> None:
    """The table, and the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--ranks", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--speed", type=int, default=0, metavar="ROUNDS")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(_timed_alone(json.loads(given.alone.read_text()))))
        return
    print_about()
    with tempfile.TemporaryDirectory() as place:
        if given.ranks:
            _keep(given.json, losses=list(_losses(Path(place), given.ranks, given.steps)))
        if given.speed:
            _keep(given.json, speed=_speed(Path(place), given.speed))
        for told in _kills(Path(place), given.kills) if given.kills else ():
            _keep(given.json, kills=told)


def _keep(path: Path | None, **found: Any) -> None:
    """In the file, whose other parts stay as they are."""
    if path is not None:
        before = json.loads(path.read_text()) if path.is_file() else {}
        path.write_text(json.dumps({**before, **found}, indent=1) + "\n")


def _base(folder: Path, shape: str) -> RunFolder:
    """A short run in one process, for its text."""
    text = folder / "text"
    if not text.is_dir():
        write_tiny_text(text)
    model = {"vocab_size": 257, "context_length": 64, "emb_dim": 64, "n_layers": 4, "drop_rate": 0.0, **SHAPES[shape]}
    training = {"steps": 1, "batch_tokens": 8 * 64, "eval_every": 1000, "eval_tokens": 64, "sample_tokens": 1}
    machine = {"device": "cpu", "precision": "float32", "threads": 1, "cache": "off"}
    values = {"model": model, "training": training, "machine": machine, "vocabulary": {"kind": "bytes"}}
    pretrain([Layer(shape, {**values, "text": {"paths": [str(text)]}})], folder / shape)
    return RunFolder(folder / shape)


def _losses(folder: Path, ranks: list[int], steps: int) -> Iterator[dict[str, Any]]:
    """A row of each layout; and of one process with other micro-batches, which is what rounding alone comes to."""
    print(f"{'model':<8} {'optimizer':<10} {'ranks':>5}  {'layout':<16} {'apart at most':>13}   last loss")
    for shape in SHAPES:
        run = _base(folder, shape)
        trials = {kind: {"parallel": "", "steps": steps, **KINDS[kind]} for kind in KINDS}
        one = {kind: alone(run, trial)["losses"] for kind, trial in trials.items()}
        for kind, trial in trials.items():
            for size in OTHER_MICRO_BATCHES:
                other = alone(run, {**trial, "micro_batch": size})["losses"]
                yield _row(shape, kind, 1, f"micro-batch {size}", one[kind], other)
        for n in ranks:
            names = [(kind, layout) for kind in KINDS for layout in LAYOUTS[n]]
            asked = [{**trials[kind], "parallel": layout} for kind, layout in names]
            seen = together(folder / f"{shape}-{n}", run, n, asked, patience=1200)
            for (kind, layout), told in zip(names, seen, strict=True):
                yield _row(shape, kind, n, layout, one[kind], told["losses"])


def _row(shape: str, kind: str, n: int, layout: str, one: list[float], other: list[float]) -> dict[str, Any]:
    apart = max(abs(mine - its) for mine, its in zip(one, other, strict=True))
    print(f"{shape:<8} {kind:<10} {n:>5}  {layout:<16} {apart:>13.1e}   {other[-1]:.7f}", flush=True)
    return {
        **{"model": shape, "optimizer": kind, "ranks": n, "layout": layout, "apart": apart},
        **{"loss": other[-1], "one_process": one[-1], "steps": len(one)},
    }


def _speed(folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds of an update by layout: the median of each round behind its first updates; the share of one process."""
    run = _base(folder, "modern")
    plan = folder / "alone.json"
    trial = {**TIMED, "parallel": "", **KINDS["adamw"]}
    plan.write_text(json.dumps({"run": str(run.path), "trial": trial}))
    seconds: dict[str, list[float]] = {"one process": []}
    for number in range(rounds):
        done = subprocess.run(
            [sys.executable, __file__, "--alone", str(plan)],
            env={**own_environment(), "OMP_NUM_THREADS": "2"},
            capture_output=True,
            text=True,
            check=True,
        )
        seconds["one process"].append(_typical(json.loads(done.stdout.splitlines()[-1])))
        for layout in ("dp=2", "fsdp=2", "tp=2"):
            asked = [{**trial, "parallel": layout}]
            (told,) = together(folder / f"speed-{number}-{layout}", run, 2, asked, patience=600)
            seconds.setdefault(layout, []).append(_typical(told["seconds"]))
            print(f"round {number + 1}, {layout}: {seconds[layout][-1]:.3f} s an update", flush=True)
    one, found = seconds["one process"], {}
    for layout, many in seconds.items():
        shares = sorted(alone / its for alone, its in zip(one, many, strict=True))
        found[layout] = {"seconds": many, "share": median(shares), "lowest": shares[0], "highest": shares[-1]}
        print(
            f"{layout:<12} {median(many):.3f} s an update, {median(shares):.0%} of one process with two threads "
            f"({shares[0]:.0%} to {shares[-1]:.0%})",
            flush=True,
        )
    return found


def _typical(seconds: list[float]) -> float:
    return median(seconds[WARM:])


def _timed_alone(plan: dict[str, Any]) -> list[float]:
    """In a process of its own, with two threads and the kernels that the others have."""
    run, trial = RunFolder(Path(plan["run"])), {**plan["trial"]}
    trial["machine"] = {**trial.get("machine", {}), "threads": 2}
    look_at_machine(settings(run, trial).machine)
    seconds: list[float] = alone(run, trial)["seconds"]
    return seconds


def _kills(folder: Path, times: int) -> Iterator[dict[str, Any]]:
    """What came of them, after each: so long a measurement may be ended."""
    layer = tiny_layer(resolve([]).config, Layout(fsdp=2), "adamw")
    training = {**layer.values["training"], "steps": KILLED_STEPS, "save_every": 5}
    made = resolve([Layer("killed", {**layer.values, "training": training})])
    (folder / "killed.toml").write_text(to_toml(made.config, made.sources))
    if not (folder / "text").is_dir():
        write_tiny_text(folder / "text")
    whole = _last(folder, "whole", None)[0]
    told = []
    for number in range(times):
        loss, seconds = _last(folder, f"killed-{number}", number % 2)
        told.append({"rank": number % 2, "equal": loss == whole, "seconds_to_next_step": seconds})
        print(
            f"kill {number + 1}: rank {number % 2}, {'equal' if loss == whole else loss}, {seconds:.1f} s", flush=True
        )
        equal, slowest = sum(one["equal"] for one in told), max(one["seconds_to_next_step"] for one in told)
        yield {"equal": equal, "of": len(told), "slowest_seconds": slowest, "each": told}
    print(f"{equal} of {times} came to the same bits; the next step after {slowest:.1f} s at most")


def _last(folder: Path, name: str, killed: int | None) -> tuple[float | None, float]:
    """The last loss of a run, of which a rank may be killed on the way; seconds from then to a step that is new."""
    words = [str(folder / "text"), "--config", str(folder / "killed.toml"), "--name", name]
    command = [sys.executable, "-m", "chainrule", "pretrain", *words, "--runs-folder", str(folder / "runs")]
    run = RunFolder(folder / "runs" / name)
    process = subprocess.Popen([*command, "--launch", "local:2"], env=own_environment(), stdout=subprocess.DEVNULL)
    seconds = 0.0
    if killed is not None:
        _wait(lambda: _step(run) >= KILL_FROM)
        before, began = _step(run), time.monotonic()
        os.kill(_pids(process.pid)[killed], signal.SIGKILL)
        time.sleep(0.5)
        _wait(lambda: (run.path / "lock.json").is_file() and _step(run) > before)
        seconds = time.monotonic() - began
    assert process.wait() == 0
    return _losses_of(run).get(KILLED_STEPS), seconds


def _pids(launcher: int) -> list[int]:
    """Those of the ranks, in their order: children of the launcher that are no helpers of multiprocessing (Linux)."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def _wait(ready: Any) -> None:
    end = time.monotonic() + 300
    while not ready():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.02)


def _losses_of(run: RunFolder) -> dict[int, float | None]:
    return {row.step: row.loss for row in rows_of(run.metrics, TrainRow)} if run.metrics.is_file() else {}


def _step(run: RunFolder) -> int:
    return max(_losses_of(run), default=0)


if __name__ == "__main__":
    main()
