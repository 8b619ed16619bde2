"""A stretch of a run made again from a checkpoint: its losses, and the next checkpoint, to the last bit."""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from chainrule.base import ChainruleError, write_bytes
from chainrule.checkpoint import Checkpoint, load_checkpoint, step_folder, steps_of
from chainrule.config import Layer, load_toml, resolve
from chainrule.finetune import lesson_of_run
from chainrule.run import RunFolder, TrainRow, last_record, read_start, read_tuning, rows_of
from chainrule.train import (
    Probed,
    Session,
    Settled,
    Start,
    Stop,
    TextLesson,
    differing_environment,
    silent,
    steps_again,
    take_up,
)
from chainrule.verify.checks import Check

WHAT = "steps made again"
FIGURES = ("loss", "grad_norm")


def replay(run: RunFolder, *, seconds: float, on_step: Callable[[int, int], object]) -> Check:
    """Trains again from the kept checkpoint with the shortest way to the next one, or from the last one.

    Each journalled loss and gradient norm on the way must be equal to the last bit, and so must all tensors of the
    checkpoint at its end, where that is reached in `seconds`. Nothing is written into the run: it works in a folder of
    its own. On another machine, or with other versions, differences prove nothing, and that is said.
    """
    stretch = _stretch(run)
    if stretch is None:
        return Check(WHAT, 0, 0, "no kept checkpoint has optimizer state and figures after it", unproved=True)
    first, last = stretch
    try:
        with TemporaryDirectory(prefix="chainrule-") as place:
            copy = _laid_out(run, RunFolder(Path(place) / "again"), first, last)
            return _made_again(run, copy, first, last, time.monotonic() + seconds, on_step)
    except (ChainruleError, OSError) as fault:
        return Check(WHAT, 0, 0, f"could not be tried: {fault}", unproved=True)


def _stretch(run: RunFolder) -> tuple[int, int] | None:
    """From which checkpoint up to which step; the shortest way between two, else as far as the journal goes."""
    whole = [step for step in steps_of(run.checkpoints) if _resumable(step_folder(run.checkpoints, step))]
    if pairs := list(pairwise(whole)):
        return min(pairs, key=lambda pair: pair[1] - pair[0])
    row = last_record(run.metrics, TrainRow)
    if whole and row and row.step > whole[-1]:
        return whole[-1], row.step
    return None


def _resumable(folder: Path) -> bool:
    try:
        return "optimizer" in load_checkpoint(folder).stems
    except ChainruleError:
        return False


def _laid_out(run: RunFolder, copy: RunFolder, first: int, last: int) -> RunFolder:
    """A folder that looks like the run at that step, with the settings that the stretch was learnt with."""
    copy.path.mkdir()
    begin, end = (step_folder(run.checkpoints, step) for step in (first, last))
    for path in begin.iterdir():
        if path.suffix in (".toml", ".json", ".jinja") and path.name not in ("state.json", "checkpoint.json"):
            write_bytes(copy.path / path.name, path.read_bytes())
    settings = end / run.config.name if end.is_dir() else run.config
    write_bytes(copy.config, settings.read_bytes())
    if run.events.is_file():
        write_bytes(copy.events, run.events.read_bytes())  # the steps may have been planned again on the way
    for folder, target in ((run.data, copy.data), (run.old, copy.old), (run.reference, copy.reference)):
        if folder.exists():
            target.symlink_to(folder.absolute())
    return copy


def _made_again(
    run: RunFolder,
    copy: RunFolder,
    first: int,
    last: int,
    until: float,
    on_step: Callable[[int, int], object],
) -> Check:
    checkpoint = load_checkpoint(step_folder(run.checkpoints, first))
    session = _session(copy, checkpoint)
    reached = first
    for reached in steps_again(session, last):
        on_step(reached - first, last - first)
        if time.monotonic() > until:
            break
    tried, wrong = _figures(run, copy, first, reached)
    end = step_folder(run.checkpoints, last)
    told = f"steps {first + 1:,} to {reached:,}"
    if reached == last and end.is_dir():
        n, unequal = _tensors(session, load_checkpoint(end))
        tried, wrong = tried + n, [*wrong, *unequal]
        told += f", to the last bit of all {n:,} tensors of {end.name}"
    elif reached < last:
        told += f" of {last:,}: time was up (--seconds)"
    other = differing_environment(checkpoint, session)
    if wrong and other:
        return Check(WHAT, 0, 0, f"{told}; the bits differ, as they may here: {other}", unproved=True)
    if not tried:
        return Check(WHAT, 0, 0, f"{told}: no figure was journalled there", unproved=True)
    return Check(WHAT, tried, tried - len(wrong), "; ".join([told, *wrong[:3]]))


def _session(copy: RunFolder, checkpoint: Checkpoint) -> Session:
    # In this process alone, whatever the run lay on: that bits may differ then is said.
    resolved = resolve([load_toml(copy.config), Layer("one process", {"machine": {"parallel": ""}})])
    start = Start(copy, silent, Stop(), time.perf_counter(), TextLesson())
    if read_tuning(copy) is not None:
        start = replace(start, lesson=lesson_of_run(copy, resolved.config))
    probed = Probed.of(start, Settled.again(start, resolved, read_start(copy)))
    return take_up(probed.session, checkpoint)


def _figures(run: RunFolder, copy: RunFolder, first: int, last: int) -> tuple[int, list[str]]:
    """How many journalled rows there are on the way, and which of them came out differently."""
    ours = {row.step: row for row in rows_of(copy.metrics, TrainRow)}
    tried, wrong = 0, []
    for row in rows_of(run.metrics, TrainRow):
        again = ours.get(row.step)
        if not first < row.step <= last or again is None:
            continue
        tried += 1
        before, now = ([getattr(one, name) for name in FIGURES] for one in (row, again))
        if before != now:
            wrong.append(f"step {row.step:,}: loss {row.loss} then, {again.loss} now")
    return tried, wrong


def _tensors(session: Session, end: Checkpoint) -> tuple[int, list[str]]:
    kept = session.lesson.kept(session.state.model)
    made = {**kept.tensors, "optimizer": session.state.optimizer.state()}
    tried, wrong = 0, []
    for stem, named in made.items():
        there = end.tensors(stem) if stem in end.stems else {}
        for name, tensor in named.items():
            if stem in end.stems:
                tried += 1
                if name not in there or not torch.equal(there[name], tensor.detach().cpu()):
                    wrong.append(f"{end.path.name}: {stem} {name} differs")
    return tried, wrong
