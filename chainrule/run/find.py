"""The run that a person means: by its path, by its name, or by something that lies in it."""

import re
from pathlib import Path

from chainrule.base import RunError
from chainrule.run.folder import RunFolder, list_runs, open_run

RUNS = Path("runs")
LAST = re.compile(r"last(?:~(\d{1,6}))?")


def find_run(name: str, folder: Path = RUNS) -> RunFolder:
    """The run at the path `name`, or of that name in `folder`; `last` is the newest there, `last~1` the one before.

    Raises RunError with the nearest name.
    """
    below = folder / name
    if Path(name).exists() or "/" in name:
        return open_run(Path(name))
    if not below.exists() and (word := LAST.fullmatch(name)):
        return last_begun(folder, int(word[1] or 0))
    return open_run(below)


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
    """`name`, or where nothing is called so the path of the run in `folder` that `find_run` knows by it."""
    if Path(name).exists():
        return name
    below = RunFolder(folder / name)
    if below.config.is_file():
        return str(below.path)
    return str(find_run(name, folder).path) if LAST.fullmatch(name) else name


def last_begun(folder: Path, before: int = 0) -> RunFolder:
    """The run in `folder` that was begun last, or the one `before` so many later ones; RunError when there is none."""
    runs = sorted(list_runs(folder), key=lambda run: run.config.stat().st_mtime, reverse=True)
    if before < len(runs):
        return runs[before]
    if not runs:
        raise RunError(f"there is no run in {folder}/ yet; `chainrule quickstart` makes one, or name a run's folder")
    raise RunError(f"last~{before} is none of the {len(runs)} runs in {folder}/; last is the newest: {runs[0].name}")


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
