"""A new run from a checkpoint of another: weights, optimizer, order of the text and schedule go on.

Its folder is made to look like that of a run that was interrupted there and has other settings; from then on a fork is
a resume.
"""

import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from chainrule.base import CheckpointError, ConfigError, DataError, RunError, bytes_text, disk_faults
from chainrule.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint, save_checkpoint, step_folder, steps_of
from chainrule.config import Config, Layer, Resolved, check_fork, fork_of, load_toml, resolve
from chainrule.data import is_prepared, link_shards
from chainrule.run import (
    Ancestor,
    Event,
    RunFolder,
    append_row,
    find_step,
    read_start,
    read_tuning,
    rows_of,
    seal_files,
    write_run_json,
)
from chainrule.train.course import course_of
from chainrule.train.mend import kept_files
from chainrule.train.record import start_record
from chainrule.train.session import Session
from chainrule.train.settings import pinned, save_settings
from chainrule.train.stages import Start
from chainrule.train.start import again

ANY_RUN = RunFolder(Path())
# What a checkpoint holds besides what is copied as it is: state, settings, record and text are the fork's own.
OWN = ("state.json", *(path.name for path in (ANY_RUN.config, ANY_RUN.machine, ANY_RUN.manifest)))


@dataclass(frozen=True)
class Fork:
    """Where a fork begins, how that run learnt (`before`), the new run's settings, and what they change."""

    source: RunFolder
    checkpoint: Checkpoint
    before: Config
    resolved: Resolved
    ancestor: Ancestor
    passed_over: tuple[str, ...] = ()
    """Newer checkpoints that are damaged, with the reason."""

    @property
    def same_way(self) -> bool:
        """Whether it takes the steps that its run took: no other number of them was asked for, nor another batch."""
        return not {"training.steps", "training.batch_tokens"} & self.ancestor.changed.keys()


def find_fork(layers: Sequence[Layer], minutes: float | None) -> Fork | None:
    """What origin.fork names, with the other layers on top of that run's settings; None where it names nothing.

    Raises RunError or CheckpointError for what is not there, ConfigError for a change of what has to stay, and where
    there is nothing to go on with.
    """
    word = fork_of(layers)
    if word is None:
        return None
    source, step = find_step(word)
    if read_tuning(source) is not None:
        raise RunError(f"{source.path} is a run of fine-tuning, and a fork is of pretraining; finetune begins from it")
    rejected: list[str] = []
    checkpoint = _checkpoint(source, step, rejected)
    saved = load_toml(checkpoint.path / source.config.name)
    name = f"{source.path}@{checkpoint.step}"
    resolved = resolve([Layer(f"fork of {name}", saved.values), *layers])
    resolved = pinned(resolved, "origin", {"fork": name}, "the run to go on from")
    before = resolve([saved]).config
    changed = check_fork(before, resolved.config)
    _check_length(source, checkpoint, before, resolved.config, minutes)
    told = {key: [old, new] for key, (old, new) in changed.items()}
    return Fork(
        source, checkpoint, before, resolved, Ancestor(str(source.path), checkpoint.step, told), tuple(rejected)
    )


def begin_fork(start: Start, fork: Fork, layers: Sequence[Layer], minutes: float | None) -> Session:
    """The session of the fork at the step at which it begins; a start that fails leaves nothing of it."""
    run = start.run
    try:
        for reason in fork.passed_over:
            start.say(f"passed over: {reason}; the fork begins at step {fork.checkpoint.step}")
        copied = _lay_out(run, fork, layers, minutes)
        if copied:
            start.say(f"{bytes_text(copied)} of text were copied from {fork.source.path}, which is on another disk")
        session = again(start, [], minutes)
    except BaseException:
        for path in (run.checkpoints, run.metrics, run.health, run.samples, run.forking):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise
    changed = ", ".join(f"{key} from {old!r} to {new!r}" for key, (old, new) in fork.ancestor.changed.items())
    session.note(f"forked from {fork.source.path} at step {fork.checkpoint.step}, with {changed or 'nothing changed'}")
    return session


def _checkpoint(source: RunFolder, step: int | None, rejected: list[str]) -> Checkpoint:
    """The checkpoint of that step, or the newest that verifies; why newer ones do not is added to `rejected`."""
    there = steps_of(source.checkpoints)
    if step is not None and step not in there:
        known = ", ".join(map(str, there)) or "none"
        raise CheckpointError(f"{source.path} has no checkpoint of step {step}; it has {known}")
    if step is not None:
        return load_checkpoint(step_folder(source.checkpoints, step))
    found = newest_checkpoint(source.checkpoints, on_reject=lambda _, reason: rejected.append(reason))
    if found is None:
        why = "; ".join(rejected) or "it was stopped before its first save"
        raise CheckpointError(f"{source.path} has no checkpoint to go on from: {why}")
    return found


def _check_length(
    source: RunFolder, checkpoint: Checkpoint, before: Config, wanted: Config, minutes: float | None
) -> None:
    """Raises ConfigError unless there is a step to come."""
    steps, asked = before.training.steps, wanted.training.steps
    if minutes is not None:
        if not (0 < minutes < math.inf):
            raise ConfigError(f"minutes={minutes:g} is no time to train in; give a positive number such as 5")
        if asked != steps:
            raise ConfigError(f"training.steps is given, and minutes={minutes:g} would choose it; give one of the two")
        return
    progress = checkpoint.state["progress"]
    course = course_of(steps, progress.get("turns", ()), progress.get("leg", 0))
    end = course.steps if asked == steps else asked
    if checkpoint.step < end:
        return
    earlier = [step for step in steps_of(source.checkpoints) if step < checkpoint.step]
    or_from = f", or begin earlier: --fork {source.path}@{earlier[-1]}" if earlier else ""
    raise ConfigError(
        f"{source.path}@{checkpoint.step} is the end of {end} steps, and nothing is left to learn there. Give it more: "
        f"chainrule pretrain --fork {source.path}@{checkpoint.step} --minutes 10 (or --training.steps){or_from}"
    )


def _lay_out(run: RunFolder, fork: Fork, layers: Sequence[Layer], minutes: float | None) -> int:
    """Fills the folder as a run has it that was interrupted at that step; returns the bytes that were copied of text.

    config.toml, which makes it a run, comes last: from then on a kill leaves what --resume goes on with. Before it a
    mark says that journals and checkpoint are copies, so that the same command may begin anew.
    """
    source, checkpoint = fork.source, fork.checkpoint
    if not is_prepared(source.data):
        raise DataError(f"{source.path} no longer has its text ({source.data}); bring that folder back, or use --from")
    copied = link_shards(source.data, run.data)
    if is_prepared(source.old):
        copied += link_shards(source.old, run.old)
    with disk_faults(run.path, "writing"):
        run.forking.touch()
    known = read_start(source)
    asked = start_record(layers, minutes)
    record = replace(
        known,
        minutes=asked.minutes,
        layers=asked.layers,
        budget=None,
        lineage=(*known.lineage, fork.ancestor),
        sealed=True,
    )
    write_run_json(run, run.machine, record.row())
    with disk_faults(run.path, "copying"):
        for name in checkpoint.files:
            if name not in OWN and not name.endswith(".safetensors"):
                shutil.copyfile(checkpoint.path / name, run.path / name)
        for path in _journals(source):
            if path.is_file():
                shutil.copyfile(path, run.path / path.name)  # a resume cuts them at its step
    seal_files(run, *kept_files(run))
    for event in _events(fork, minutes):
        append_row(run.events, event.row())
    _save(run, fork)
    save_settings(run, fork.resolved)
    with disk_faults(run.path, "removing"):
        run.forking.unlink()
    return copied


def _events(fork: Fork, minutes: float | None) -> Iterator[Event]:
    """What happened up to that step; where the fork goes the same way, also what was decided later of its steps."""
    step, beyond = fork.checkpoint.step, False
    for event in rows_of(fork.source.events, Event):
        beyond = beyond or (event.step or 0) > step
        if not beyond or (event.turn is not None and fork.same_way and minutes is None):
            yield event


def _journals(run: RunFolder) -> tuple[Path, ...]:
    """Those that a fork goes on with."""
    return run.metrics, run.health, run.samples


def _save(run: RunFolder, fork: Fork) -> None:
    """The checkpoint with the fork's settings, but for the steps that it learnt with: another number is taken up."""
    checkpoint, config = fork.checkpoint, fork.resolved.config
    state: dict[str, Any] = {**checkpoint.state, "progress": dict(checkpoint.state["progress"])}
    # Of the others that its run ranked the fork has no checkpoint.
    losses, own = state["progress"].get("val_losses", {}), str(checkpoint.step)
    state["progress"]["val_losses"] = {own: losses[own]} if own in losses else {}
    # Events and times are the fork's own.
    copied, ends = {path.name for path in _journals(run)}, state.get("journals", {})
    state["journals"] = {name: end for name, end in ends.items() if name in copied}
    kept = [checkpoint.path / name for name in checkpoint.files if name not in OWN]
    training = config.training.model_copy(update={"steps": fork.before.training.steps})
    with TemporaryDirectory() as place:
        settings = RunFolder(Path(place))
        save_settings(settings, replace(fork.resolved, config=config.model_copy(update={"training": training})))
        save_checkpoint(
            run.checkpoints, checkpoint.step, {}, state, [*kept, settings.config, run.machine, run.manifest]
        )
