"""Updates of tiny runs by several processes, and by one: what tests and benchmarks hold against each other.

A trial is a dict: `parallel`, `steps`, and where wanted sections of settings, `first` (the step it begins at),
`pieces`, `micro_batch`, `load` and `save` (folders of checkpoints).
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainrule.checkpoint import load_checkpoint, load_weights, save_checkpoint
from chainrule.config import Config, Layer, load_toml, resolve
from chainrule.data import run_dataset
from chainrule.device import Precision, look_at_machine
from chainrule.optim import Optimizer
from chainrule.run import RunFolder
from chainrule.train import (
    Made,
    NextToken,
    Portion,
    StepSettings,
    Team,
    TrainState,
    seed_step,
    train_step,
    training_batches,
)
from chainrule.train.held import HeldOptimizer

HERE = Path(__file__).resolve().parent
RATE = 0.8
Trial = dict[str, Any]
Update = Callable[[Portion], tuple[float, float]]


def settings(run: RunFolder, trial: Trial) -> Config:
    """The run's own, with the trial's layout and other sections."""
    over = {section: trial[section] for section in ("optimizer", "model", "training", "machine") if section in trial}
    over["machine"] = {**over.get("machine", {}), "parallel": trial["parallel"]}
    return resolve([load_toml(run.config), Layer("trial", over)]).config


def led_update(team: Team, run: RunFolder, trial: Trial) -> Callable[[Portion], Made]:
    """What makes an update of a trial that all have begun."""
    config = settings(run, trial)
    team.begin(run, config, look_at_machine(config.machine))
    team.take(_state(config, trial, HeldOptimizer))
    return team.update


def led(team: Team, run: RunFolder, trial: Trial) -> dict[str, Any]:
    """What the leader of several processes sees of a trial."""
    config = settings(run, trial)
    facts = look_at_machine(config.machine)
    state = _state(config, trial, HeldOptimizer)
    team.begin(run, config, facts)
    team.take(state)

    def update(portion: Portion) -> tuple[float, float]:
        made = team.update(portion)
        return made.result.loss, made.result.grad_norm

    return _told(config, trial, state, update, lambda: team.give(state, optimizer=True))


def alone(run: RunFolder, trial: Trial) -> dict[str, Any]:
    """The same by this process, in the usual way."""
    config = settings(run, {**trial, "parallel": ""})
    state = _state(config, trial, Optimizer)
    batches = training_batches(config, run_dataset(run), None)

    def update(portion: Portion) -> tuple[float, float]:
        seed_step(config.training.seed, portion.step)
        windows = batches.windows(portion.first, portion.count, portion.n_pieces)
        how = StepSettings(
            portion.factor,
            portion.micro_batch * portion.n_pieces,
            config.optimizer.grad_clip,
            Precision("cpu", config.machine.precision),
        )
        result = train_step(state.model, state.optimizer, NextToken(state.model.loss), windows, how)
        return result.loss, result.grad_norm

    return _told(config, trial, state, update, lambda: None)


def _state(config: Config, trial: Trial, optimizer: type[Optimizer]) -> TrainState:
    state = TrainState.fresh(config, Precision("cpu", config.machine.precision), None, optimizer)
    state.model.train()
    if "load" in trial:
        checkpoint = load_checkpoint(Path(trial["load"]))
        load_weights(state.model, checkpoint.tensors("model"), "the checkpoint")
        state.optimizer.load_state(checkpoint.tensors("optimizer"))
    return state


def _told(
    config: Config, trial: Trial, state: TrainState, update: Update, gather: Callable[[], None]
) -> dict[str, Any]:
    first, count = trial.get("first", 0), config.batch_windows
    made, seconds = [], []
    for step in range(first, first + trial["steps"]):
        began = time.perf_counter()
        portion = Portion(step, step * count, count, trial.get("pieces", 1), trial.get("micro_batch", 2), RATE)
        made.append(update(portion))
        seconds.append(time.perf_counter() - began)
    gather()
    if "save" in trial:
        tensors = {"model": dict(state.model.state_dict()), "optimizer": state.optimizer.state()}
        save_checkpoint(Path(trial["save"]), first + trial["steps"], tensors, {"progress": {}})
    squares = sum(float(one.detach().double().square().sum()) for one in state.model.parameters())
    losses, norms = zip(*made, strict=True)
    return {"losses": list(losses), "norms": list(norms), "squares": squares, "seconds": seconds}


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """As torchrun sets it."""
    own = {"RANK": rank, "WORLD_SIZE": size, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    told = {name: str(value) for name, value in own.items()}
    place = {"MASTER_ADDR": "127.0.0.1", "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **told, **place}


def own_environment() -> dict[str, str]:
    """Of a process that nobody started as one of several."""
    unset = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    return {name: value for name, value in environment(0, 1, 0).items() if name not in unset}


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def together(
    folder: Path,
    run: RunFolder,
    n: int,
    trials: list[Trial],
    script: str = "rank.py",
    failing: tuple[int, ...] = (),
    patience: float = 280,
) -> list[Any]:
    """What the leader of `n` processes saw of each trial; what each read is in read-<rank>.jsonl of the folder.

    The processes run `script`; those of the ranks `failing` must fail, and no other.
    """
    folder.mkdir(exist_ok=True)
    plan = folder / "plan.json"
    plan.write_text(json.dumps({"run": str(run.path), "trials": trials}))
    port = free_port()
    command = [sys.executable, str(HERE / "ranks" / script), str(plan)]
    started = [
        subprocess.Popen(command, env=environment(rank, n, port), stderr=subprocess.PIPE, text=True)
        for rank in range(n)
    ]
    said = [process.communicate(timeout=patience)[1] for process in started]
    assert failing == tuple(rank for rank, process in enumerate(started) if process.returncode), "\n".join(said)
    found: list[Any] = json.loads((folder / "found.json").read_text())
    return found
