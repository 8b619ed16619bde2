"""Going on with an interrupted run as if nothing had happened."""

from collections.abc import Sequence
from typing import Any

from chainrule.base import CheckpointError, DataError, RunError
from chainrule.checkpoint import Checkpoint, newest_checkpoint
from chainrule.config import Layer, Resolved, check_resume, load_toml, resolve
from chainrule.data import Dataset
from chainrule.device import MachineFacts
from chainrule.run import RunFolder, cut_after_step, rewrite_rows
from chainrule.tokenizer import Tokenizer
from chainrule.train.session import environment, write_event
from chainrule.train.watch import Watch

BITS_DEPEND_ON = ("torch", "device", "precision", "threads", "cpu_capability")


def saved_settings(run: RunFolder, layers: Sequence[Layer]) -> Resolved:
    """The run's own settings with the layers on top; raises ConfigError for a change that would make it another run."""
    if not run.config.is_file():
        raise RunError(
            f"{run.path} holds no run to resume: it has no config.toml. `chainrule runs` lists those there are"
        )
    saved = load_toml(run.config)
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


def check_fits(checkpoint: Checkpoint, dataset: Dataset, tokenizer: Tokenizer) -> None:
    """Raises DataError or CheckpointError when text or tokenizer are not those that the checkpoint learnt from."""
    if checkpoint.state["data"] != dataset.manifest.fingerprint:
        raise DataError(
            f"the token shards are not those that {checkpoint.path.name} learnt from (their fingerprint differs); "
            "bring the run's data folder back, or go on with new text by --from"
        )
    if checkpoint.state["tokenizer"] != tokenizer.fingerprint:
        raise CheckpointError(f"tokenizer.json is not the one that {checkpoint.path.name} learnt with; bring it back")


def note_differences(checkpoint: Checkpoint, facts: MachineFacts, run: RunFolder, watch: Watch) -> None:
    """Says when the bits of the resumed run may differ, because the machine or the versions do."""
    before: dict[str, Any] = checkpoint.state["environment"]
    now = environment(facts)
    changed = [f"{key} was {before.get(key)}, is {now[key]}" for key in BITS_DEPEND_ON if before.get(key) != now[key]]
    if changed:
        write_event(run, watch, f"the run goes on, but its bits may differ: {'; '.join(changed)}")


def cut_journals(run: RunFolder, step: int, looked: int) -> None:
    """Removes what was written after the checkpoint of `step`; with `looked` before it, the looks at `step` too."""
    cut_after_step(run.health, step)
    for path in (run.metrics, run.samples):
        cut_after_step(path, step)
        if looked < step:
            rewrite_rows(path, lambda row: row.get("kind") == "train" or row.get("step") != step)
