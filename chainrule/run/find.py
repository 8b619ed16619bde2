"""The run that a person means: by its path, by its name, or by something that lies in it."""

from pathlib import Path

from chainrule.run.folder import RunFolder, open_run

RUNS = Path("runs")


def find_run(name: str, folder: Path = RUNS) -> RunFolder:
    """The run at the path `name`, or of that name in `folder`; raises RunError with the nearest name."""
    below = folder / name
    if not Path(name).exists() and "/" not in name:
        return open_run(below)
    return open_run(Path(name))


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
