"""What a resume does about files of its run that are not as the run wrote them: put back, worked out again, refused."""

import shlex
from pathlib import Path

from chainrule.base import SUMS, CheckpointError, ConfigError, DataError, DiskError, RunError, read_sums
from chainrule.checkpoint import verified_file
from chainrule.config import Layer, differences, load_toml, resolve
from chainrule.data import load_manifest
from chainrule.run import (
    RunFolder,
    as_sealed,
    is_begun,
    is_sealed_file,
    is_unsealed,
    resume_command,
    seal_files,
    step_folder,
    steps_of,
    write_run_file,
)
from chainrule.tokenizer import TEMPLATE_FILES
from chainrule.train.session import write_event
from chainrule.train.watch import Watch


def kept_files(run: RunFolder) -> list[Path]:
    """The small files that a checkpoint keeps copies of, as far as they are there."""
    named = (run.config, run.tokenizer, run.machine, run.manifest, run.tuning, run.adapter_config)
    return [path for path in (*named, *(run.path / name for name in TEMPLATE_FILES)) if path.is_file()]


def put_back(run: RunFolder, watch: Watch) -> None:
    """Gives a run that goes on its files back from the copies of its checkpoints, and says so; config.toml apart.

    Raises RunError for one that is damaged, is needed and has no copy. Call it under the run's lock.
    """
    known = read_sums(run.path)
    if known is None or is_unsealed(run):
        what = "was damaged" if known is None else "was gone"
        write_event(run, watch, f"{SUMS} {what}: the run's small files are taken as they stand, and sealed again")
    for name in sorted(known or {}):
        path = run.path / name
        if path != run.config and path.parent.is_dir() and not is_sealed_file(run, path):
            _mend(run, path, watch)
    new = (path for path in kept_files(run) if path.relative_to(run.path).as_posix() not in (known or {}))
    seal_files(run, *new)


def _mend(run: RunFolder, path: Path, watch: Watch) -> None:
    begun = is_begun(run)
    if path == run.manifest and _is_whole_text(run.data):
        return  # not damaged but another text: whoever opens it refuses it
    copy = as_sealed(run, path) or (_older_copy(run, path) if path == run.machine else None)
    if copy is not None:
        write_run_file(run, path, copy.read_bytes())
        write_event(run, watch, f"{path.name} was edited or damaged: it is put back as {copy.parent.name} keeps it")
    elif path == run.summary or (path == run.machine and begun):
        write_event(run, watch, f"{path.name} was edited or damaged: it is not used, and written again")
    elif begun and path in kept_files(run):
        raise RunError(
            f"{path} was edited or damaged since the run wrote it, and no checkpoint has a copy of it; bring it back "
            "from a backup, or start a new run under another name"
        )


def _is_whole_text(folder: Path) -> bool:
    try:
        load_manifest(folder)
    except DataError:
        return False
    return True


def own_settings(run: RunFolder) -> Layer:
    """What config.toml says, as the run wrote it; raises ConfigError for one that was edited, with the way to do that.

    Raises RunError for a folder without one.
    """
    if not run.config.is_file():
        raise RunError(
            f"{run.path} holds no run to resume: it has no config.toml. `chainrule runs` lists those there are"
        )
    if is_sealed_file(run, run.config):
        return load_toml(run.config)
    copy = as_sealed(run, run.config) or _older_copy(run, run.config)
    if copy is None:
        raise ConfigError(
            f"{run.config} was edited or damaged since the run wrote it, and no checkpoint has a copy of it; start a "
            "new run under another --name (a run's settings are changed by flags)"
        )
    changed = _changed(copy, run.config)
    told = "; ".join(f"{key} from {old!r} to {new!r}" for key, (old, new) in changed.items()) or "no value"
    flags = "".join(f" --{key.replace('_', '-')} {shlex.quote(str(new))}" for key, (_, new) in changed.items())
    raise ConfigError(
        f"{run.config} was edited or damaged since the run wrote it (it changes {told}). A run's settings are changed "
        f"by flags, which are checked and written down: `{resume_command(run)}{flags}`. But first put the file back: "
        f"cp {shlex.quote(str(copy))} {shlex.quote(str(run.config))}"
    )


def _changed(copy: Path, edited: Path) -> dict[str, tuple[object, object]]:
    """The settings in which the two differ; empty where the edited one can no longer be read."""
    try:
        return dict(differences(resolve([load_toml(copy)]).config, resolve([load_toml(edited)]).config))
    except ConfigError:
        return {}


def _older_copy(run: RunFolder, path: Path) -> Path | None:
    """What the newest checkpoint that has one, and has it whole, keeps of a file that may have changed since."""
    for step in reversed(steps_of(run.checkpoints)):
        try:
            return verified_file(step_folder(run.checkpoints, step), path.name)
        except (CheckpointError, DiskError):
            continue
    return None
