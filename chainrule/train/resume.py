"""Going on with an interrupted run as if nothing had happened."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from chainrule.base import CheckpointError, ConfigError, DataError
from chainrule.checkpoint import Checkpoint, newest_checkpoint
from chainrule.config import ROUNDED_ON_RESUME, Config, Layer, Resolved, check_resume, differences, load_toml, resolve
from chainrule.data import Dataset
from chainrule.device import MachineFacts
from chainrule.optim import rate_factor
from chainrule.run import (
    RunFolder,
    cut_after_step,
    journal_lines,
    lost_ends,
    read_summary,
    rewrite_rows,
    write_run_json,
)
from chainrule.tokenizer import Tokenizer
from chainrule.train.course import course_of
from chainrule.train.mend import own_settings
from chainrule.train.session import environment, write_event
from chainrule.train.state import Progress
from chainrule.train.watch import Watch

# So much of a long journal is read again on a resume, some ten thousand rows; a report and `chainrule verify` read all.
LOOKED_AT_BYTES = 8 << 20
BITS_DEPEND_ON = ("torch", "device", "precision", "threads", "kernels", "cpu_capability", "layout")
# Of a run from before there were others.
BEFORE = {"kernels": "torch", "layout": "one process"}


def is_finished(run: RunFolder, layers: Sequence[Layer]) -> bool:
    """Whether the run reached its last step, and the layers ask for no other number of them.

    Raises ConfigError when they would make it another run.
    """
    wanted = saved_settings(run, layers).config.training.steps
    saved = resolve([own_settings(run)]).config.training.steps
    return read_summary(run).status == "finished" and wanted == saved


def saved_settings(run: RunFolder, layers: Sequence[Layer]) -> Resolved:
    """The run's own settings with the layers on top; raises ConfigError for a change that would make it another run."""
    saved = own_settings(run)
    before, after = resolve([saved]), resolve([saved, *layers])
    check_resume(before.config, after.config)
    return after


def checkpoint_to_resume(run: RunFolder, watch: Watch) -> Checkpoint | None:
    """The newest checkpoint that verifies; each that does not is reported. None when none was ever saved.

    Raises CheckpointError when there are checkpoints and none is whole: starting over would throw them away.
    """
    rejected: list[str] = []
    found = newest_checkpoint(run.checkpoints, on_reject=lambda path, reason: rejected.append(reason))
    if found is None and rejected:
        raise CheckpointError(
            f"none of the {len(rejected)} checkpoints of {run.path} is whole: {'; '.join(rejected)}. They are left "
            "as they are; start a new run under another name"
        )
    for reason in rejected:
        going_on = f"going on from {found.path.name}" if found else ""
        write_event(run, watch, f"a checkpoint was passed over: {reason}; {going_on}")
    return found


def check_settings(checkpoint: Checkpoint, run: RunFolder, wanted: Config) -> None:
    """Raises ConfigError when the run's config.toml is not, but for what may change, the one the checkpoint keeps."""
    copy = checkpoint.path / run.config.name
    try:
        check_resume(resolve([load_toml(copy)]).config, wanted)
    except ConfigError as fault:
        raise ConfigError(
            f"{run.config} is not the one that {checkpoint.path.name} learnt with: {fault} Its own copy puts it back: "
            f"cp {shlex.quote(str(copy))} {shlex.quote(str(run.config))}"
        ) from None


def going_on(run: RunFolder) -> None:
    """A summary of a finished run that goes on says so, whatever ends it next; its figures stay until there are new.

    Where the journals end it says no longer: they are cut back, and grow.
    """
    summary = read_summary(run)
    if summary.status == "finished" or summary.journals:
        write_run_json(run, run.summary, replace(summary, status="interrupted", journals={}).row())


def other_steps(checkpoint: Checkpoint, progress: Progress, now: Config) -> str | None:
    """Takes up another number of steps than the checkpoint was saved with; what that means, in words, if anything.

    Where the schedule has the same rate at this step for both lengths (the stable part of wsd, a constant rate) it just
    goes on. Else it begins again here, with a warm-up of its own, over the steps that are left: a run that has decayed
    climbs once more and decays once more (as Hägele et al., arXiv 2405.18392, find it costs little), rather than to
    jump to a rate in the middle. A function of the checkpoint and the settings: every resume takes it up alike.
    Raises ConfigError when the run is beyond the steps that are asked for.
    """
    before = resolve([load_toml(checkpoint.path / "config.toml")]).config
    step, new = progress.step, now.training.steps
    if before.training.steps == new:
        return None
    course = course_of(before.training.steps, progress.turns, progress.leg)
    old = course.steps
    if new <= step:
        raise ConfigError(f"training.steps={new} are done: the run is at step {step}; give more, or leave it out")
    here = rate_factor(course.place(step), course.length, now.schedule)
    progress.turns = []  # they led to the old end
    if step < old and here == rate_factor(step - progress.leg, new - progress.leg, now.schedule):
        return f"{new} steps instead of {old}: the rate goes on as it was"
    progress.leg = step
    return f"{new} steps instead of {old}: the schedule begins again at step {step}, with its warm-up"


def check_fits(checkpoint: Checkpoint, dataset: Dataset, tokenizer: Tokenizer, old: Dataset | None) -> None:
    """Raises DataError or CheckpointError when text or tokenizer are not those that the checkpoint learnt from."""
    if checkpoint.state["data"] != dataset.manifest.fingerprint:
        raise DataError(
            f"the token shards are not those that {checkpoint.path.name} learnt from (their fingerprint differs); "
            "bring the run's data folder back, or go on with new text by --from"
        )
    # Of a run from before this was kept nothing is known.
    learnt = checkpoint.state.get("old")
    if learnt is not None and old is not None and learnt != old.manifest.fingerprint:
        raise DataError(
            f"the folder old/ holds another text than the one that {checkpoint.path.name} learnt from (its fingerprint "
            "differs); bring it back"
        )
    if checkpoint.state["tokenizer"] != tokenizer.fingerprint:
        raise CheckpointError(f"tokenizer.json is not the one that {checkpoint.path.name} learnt with; bring it back")


def environment_before(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the bits up to this checkpoint depended on; see `environment`."""
    return BEFORE | checkpoint.state["environment"]


def note_differences(checkpoint: Checkpoint, config: Config, facts: MachineFacts, run: RunFolder, watch: Watch) -> None:
    """Says when the bits of the resumed run may differ, because settings, machine or versions do, and which."""
    copy = resolve([load_toml(checkpoint.path / run.config.name)]).config
    settings = {key: pair for key, pair in differences(copy, config).items() if key in ROUNDED_ON_RESUME}
    changed = [f"{key} was {old}, is {new}" for key, (old, new) in settings.items()]
    before = environment_before(checkpoint)
    now = environment(facts)
    said = {key.removeprefix("machine.") for key in settings}
    changed += [
        f"{key} was {before.get(key)}, is {now[key]}"
        for key in BITS_DEPEND_ON
        if key not in said and before.get(key) != now[key]
    ]
    if changed:
        write_event(run, watch, f"the run goes on, but its bits may differ: {'; '.join(changed)}")


def cut_journals(run: RunFolder, step: int, looked: int, watch: Watch, ends: object = None) -> None:
    """Removes what was written after the checkpoint of `step`; with `looked` before it, the looks at `step` too.

    Lines up to there that are damaged or missing come from nowhere again: which of which file is said. They stay in the
    file. Of one that is longer than LOOKED_AT_BYTES its end is looked at. `ends` is what the checkpoint says of them.
    """
    found = [
        journal_lines(path, before=step + 1, most_bytes=LOOKED_AT_BYTES)
        for path in (run.metrics, run.health, run.samples, run.phases)
    ]
    found.append(journal_lines(run.events, most_bytes=LOOKED_AT_BYTES))
    wrong = [lines.wrong for lines in found if lines.wrong]
    wrong += lost_ends(run, ends, f"the checkpoint of step {step:,}")
    if wrong:
        write_event(
            run,
            watch,
            f"not as they were written: {'; '.join(wrong)}. Curves and report lack what is gone and do not use what is "
            "damaged; weights and optimizer do not come from there",
        )
    cut_after_step(run.health, step)
    cut_after_step(run.phases, step)
    for path in (run.metrics, run.samples):
        cut_after_step(path, step)
        if looked < step:
            rewrite_rows(path, lambda row: row.get("kind") == "train" or row.get("step") != step, since=step)
