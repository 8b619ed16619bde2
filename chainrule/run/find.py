"""The run that a person means: by its path, by its name, or by something that lies in it."""

from pathlib import Path

from chainrule.base import RunError
from chainrule.run.folder import RunFolder, open_run

RUNS = Path("runs")


def find_run(name: str, folder: Path = RUNS) -> RunFolder:
    """The run at the path `name`, or of that name in `folder`; raises RunError with the nearest name."""
    below = folder / name
    if not Path(name).exists() and "/" not in name:
        return open_run(below)
    return open_run(Path(name))


def find_step(name: str, folder: Path = RUNS) -> tuple[RunFolder, int | None]:
    """The run and the step that RUN@STEP names; None for the step where none is given.

    Raises RunError for a run that is not there, with the nearest name, and for a step that is no number.
    """
    if (folder / name).exists() or Path(name).exists() or "@" not in name:
        return find_run(name, folder), None
    run, _, step = name.rpartition("@")
    found = find_run(run, folder)
    if not step.isdecimal():
        raise RunError(f"{name!r} names no step of {found.path}; write {found.path}@250, or {found.path} for its last")
    return found, int(step)


def model_source(name: str, folder: Path = RUNS) -> str:
    """`name`, or the path of the run of that name in `folder` when nothing else is called so."""
    below = RunFolder(folder / name)
    return str(below.path) if not Path(name).exists() and below.config.is_file() else name


def run_of(source: Path) -> RunFolder | None:
    """The run that a folder is, or that a checkpoint's folder lies in; None when it belongs to none."""
    runs = (RunFolder(folder) for folder in (source, source.absolute().parent.parent))
    # A checkpoint has a config.toml as well, but no checkpoints of its own.
    return next((run for run in runs if run.config.is_file() and run.checkpoints.is_dir()), None)


def check_source(source: str | None) -> None:
    """Raises RunError, with the nearest name, for a run to go on from that is mistyped; other sources are left."""
    if source is None or "/" not in source or Path(source).exists():
        return
    if Path(source).parent.is_dir() or Path(source).parts[0] == "runs":
        open_run(Path(source))
