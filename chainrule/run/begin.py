"""Whether a folder may become a run, and what is left of a start that never came to its first step."""

import shlex
import shutil
from pathlib import Path

from chainrule.base import SUMS, RunError, disk_faults
from chainrule.run.folder import RunFolder

# What a start writes before its first step. A folder that holds nothing else lost no learning: its name is free again.
BEFORE_THE_FIRST_STEP = frozenset(
    (
        *("lock", "lock.json", "machine.json", "config.toml", "tokenizer.json", "data", "old", "events.jsonl"),
        *("chat_template.jinja", "tokenizer_config.json", "generation_config.json", "tuning.json"),
        *("adapter_config.json", "examples.jsonl", "reference.safetensors", SUMS),
        "forking",
    )
)


def check_free(path: Path) -> None:
    """Raises RunError unless a new run may begin at `path`: absent, empty, or a start without a first step."""
    if not path.exists():
        return
    if not path.is_dir():
        raise RunError(f"{path} is there already and is no folder; give the run another --name")
    others = sorted(set(_names(path)) - BEFORE_THE_FIRST_STEP)
    if not others or _is_half_a_fork(RunFolder(path)):
        return
    if RunFolder(path).config.is_file():
        raise RunError(
            f"{path} is there already and holds a run: nothing is overwritten, no run overwrites another; "
            f"continue it with `{resume_command(RunFolder(path))}`, or give another --name"
        )
    raise RunError(f"{path} is there already and holds {others[0]}: no run overwrites another; give another --name")


def resume_command(run: RunFolder) -> str:
    """What goes on with the run: a fine-tuning by its own verb."""
    return f"chainrule {'finetune' if run.tuning.is_file() else 'pretrain'} --resume {shlex.quote(str(run.path))}"


def is_begun(run: RunFolder) -> bool:
    """Whether the run came to its first look or step; before that only text has been prepared."""
    return (run.metrics.is_file() or run.checkpoints.is_dir()) and not _is_half_a_fork(run)


def forget_start(run: RunFolder, *, lock: bool = True) -> None:
    """Removes what a start left before its first step, and the folder when nothing else is in it.

    Call it under the run's lock, which goes last; without `lock` it stays, and the folder too.
    """
    if is_begun(run) or not run.path.is_dir():
        return
    # The mark of a fork goes after what it covers: a kill in between leaves a name that is free.
    last = {"forking", "lock", "lock.json"}
    copied = {path.name for path in (run.checkpoints, run.metrics, run.health, run.samples)}
    first = BEFORE_THE_FIRST_STEP | copied if _is_half_a_fork(run) else BEFORE_THE_FIRST_STEP
    with disk_faults(run.path, "removing"):
        for name in sorted(first - last) + (sorted(last) if lock else ["forking"]):
            entry = run.path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)
        for stump in (entry for entry in run.path.iterdir() if _is_stump(entry.name)):
            shutil.rmtree(stump) if stump.is_dir() else stump.unlink(missing_ok=True)
        if lock and not any(run.path.iterdir()):
            run.path.rmdir()


def _is_half_a_fork(run: RunFolder) -> bool:
    """Whether a kill ended the copying of a fork: what lies here is another run's, and that one has it still."""
    return run.forking.is_file() and not run.config.is_file()


def _names(path: Path) -> list[str]:
    with disk_faults(path, "listing"):
        return [entry.name for entry in path.iterdir() if not _is_stump(entry.name)]


def _is_stump(name: str) -> bool:
    """Half of a file or folder that a kill left under its temporary name."""
    return name.startswith(".") and ".tmp-" in name
