"""What is rehearsed: real runs by the real command, each with as many processes as there will be ranks."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chainrule.base import ConfigError, TrainingError
from chainrule.config import Config, resolve, to_toml
from chainrule.plan import Layout
from chainrule.rehearse.tiny import SAVE_EVERY, STEPS, tiny_layer, write_tiny_text
from chainrule.run import RunFolder, TrainRow, rows_of

CLOSE = 2e-6
KINDS = ("adamw", "muon")
# A rank is killed when the run has saved once, and is some steps further.
KILL_AFTER, END_AFTER = SAVE_EVERY + 3, 2 * SAVE_EVERY + 2
MOST_SECONDS = 600.0
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Row:
    """One thing that was tried: what, what came out, what was asked of it, and whether it is so."""

    what: str
    found: str
    bar: str
    good: bool


@dataclass(frozen=True)
class Rehearsed:
    """All that was tried of a layout."""

    layout: Layout
    rows: tuple[Row, ...]

    @property
    def good(self) -> bool:
        """Whether all of it came out as it should."""
        return all(row.good for row in self.rows)


@dataclass(frozen=True)
class Stage:
    """The folder of a rehearsal, and the runs in it."""

    folder: Path
    config: Config
    layout: Layout

    def run(self, name: str) -> RunFolder:
        """One of them."""
        return RunFolder(self.folder / "runs" / name)

    def losses(self, name: str) -> dict[int, float]:
        """Of the training steps of a run."""
        return {row.step: row.loss for row in rows_of(self.run(name).metrics, TrainRow) if row.loss is not None}

    def command(self, *words: str, ranks: bool) -> list[str]:
        """`chainrule pretrain` in one process, or in as many as there are ranks."""
        many = ("--launch", f"local:{self.layout.ranks}", "--machine.parallel", self.layout.text())
        folder = ("--runs-folder", str(self.folder / "runs"))
        return [sys.executable, "-m", "chainrule", "pretrain", *words, *folder, *(many if ranks else ())]

    def new(self, name: str, kind: str) -> tuple[str, ...]:
        """The words of a new run."""
        return (str(self.folder / "text"), "--config", str(self.folder / f"{kind}.toml"), "--name", name)


def rehearse(config: Config, layout: Layout, folder: Path, tell: Callable[[str], None]) -> Rehearsed:
    """Tries the layout in `folder`, which must not be there, with a tiny model; some minutes on a few cores.

    Raises ConfigError for a layout of one rank, TrainingError with the last lines of a run that fails.
    """
    if layout.ranks < 2:
        raise ConfigError("a rehearsal is of several ranks; give --ranks 2 or more, or machine.parallel")
    stage = Stage(folder, config, layout)
    folder.mkdir(parents=True)
    write_tiny_text(folder / "text")
    for kind in KINDS:
        made = resolve([tiny_layer(config, layout, kind)])
        (folder / f"{kind}.toml").write_text(to_toml(made.config, made.sources), encoding="utf-8")
    return Rehearsed(layout, tuple(_tried(stage, tell)))


def _tried(stage: Stage, tell: Callable[[str], None]) -> list[Row]:
    rows = []
    for kind in KINDS:
        tell(f"{kind}: one process, then {stage.layout.ranks} ranks ({stage.layout.text()}) …")
        _done(stage.command(*stage.new(f"one-{kind}", kind), ranks=False))
        _done(stage.command(*stage.new(f"ranks-{kind}", kind), ranks=True))
        rows.append(_apart(f"losses with {kind}", stage.losses(f"one-{kind}"), stage.losses(f"ranks-{kind}")))
    whole = stage.losses("ranks-adamw")
    tell("its checkpoint, in one process …")
    fork = f"{stage.run('ranks-adamw').path}@{2 * SAVE_EVERY}"
    # Which lies as it is asked to: alone.
    alone = ("--fork", fork, "--name", "laid-anew", "--machine.parallel", "dp=1")
    _done(stage.command(*alone, ranks=False))
    after = {step: loss for step, loss in stage.losses("laid-anew").items() if step > 2 * SAVE_EVERY}
    rows.append(_apart("its checkpoint, in one process", whole, after))
    tell("a rank killed …")
    rows.append(_killed(stage, whole))
    tell("ended by a signal, and resumed …")
    rows.append(_ended(stage, whole))
    return rows


def _apart(what: str, one: Mapping[int, float], other: Mapping[int, float]) -> Row:
    """How far apart the losses of the same steps are at most."""
    both = one.keys() & other.keys()
    most = max((abs(one[step] - other[step]) for step in both), default=float("inf"))
    return Row(what, f"{most:.1e} apart at most, {len(both)} steps", f"{CLOSE:.0e}", most <= CLOSE)


def _equal(what: str, whole: Mapping[int, float], name: Mapping[int, float]) -> Row:
    same = whole.get(STEPS) is not None and whole.get(STEPS) == name.get(STEPS)
    return Row(what, "the same bits" if same else f"{whole.get(STEPS)} and {name.get(STEPS)}", "the same bits", same)


def _killed(stage: Stage, whole: Mapping[int, float]) -> Row:
    """The rank that leads dies without a word in the middle of a step; whatever survives must come to the same."""
    name = "killed"
    process = _begun(stage.command(*stage.new(name, "adamw"), ranks=True))
    _when(process, lambda: max(stage.losses(name), default=0) >= KILL_AFTER)
    # Windows has one way to end a process, which asks it nothing.
    kill = signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM
    os.kill(json.loads((stage.run(name).path / "lock.json").read_bytes())["pid"], kill)
    _ended_well(process)
    return _equal(f"rank 0 killed after step {KILL_AFTER}, last loss", whole, stage.losses(name))


def _ended(stage: Stage, whole: Mapping[int, float]) -> Row:
    """The whole job is ended as a batch system does, and goes on later."""
    name = "ended"
    process = _begun(stage.command(*stage.new(name, "adamw"), ranks=True))
    _when(process, lambda: max(stage.losses(name), default=0) >= END_AFTER)
    process.send_signal(signal.SIGTERM)
    _ended_well(process, 128 + signal.SIGTERM)
    _done(stage.command("--resume", str(stage.run(name).path), ranks=True))
    return _equal("ended by SIGTERM and resumed, last loss", whole, stage.losses(name))


def _begun(command: Sequence[str]) -> subprocess.Popen[str]:
    own = {name: value for name, value in os.environ.items() if name not in TORCHRUN}
    own["PYTHONUNBUFFERED"] = "1"
    return subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=own,
    )


def _when(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    end = time.monotonic() + MOST_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            _ended_well(process)
            raise TrainingError("the run of the rehearsal was over before anything could be done to it")
        time.sleep(0.02)


def _done(command: Sequence[str]) -> None:
    _ended_well(_begun(command))


def _ended_well(process: subprocess.Popen[str], code: int = 0) -> None:
    said, _ = process.communicate(timeout=MOST_SECONDS)
    if process.returncode != code:
        last = "\n".join(said.strip().splitlines()[-12:])
        raise TrainingError(
            f"a run of the rehearsal ended with exit code {process.returncode}, and not {code}:\n{last}"
        )
