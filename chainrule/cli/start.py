"""Starting a run from the command line: its name, its layers, what is shown while it goes, and how it ends."""

import math
import re
import shlex
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError, Interrupted, RunError
from chainrule.cli.output import print_json, say
from chainrule.config import Layer, check_resume, differences, load_toml, resolve
from chainrule.plan import Machine, choose, with_automatic
from chainrule.run import RunFolder, check_free, list_runs, open_run

Watch = Callable[[str, Mapping[str, Any]], None]

# Stands in for the machine while mistakes are looked for; what it says decides nothing.
ANY_MACHINE = Machine(cores=1, memory_bytes=2**40, peak_flops=1e12)
# An interpreter that starts takes no longer than this.
STARTED_SECONDS = 3.0


def train_run(
    layers: Sequence[Layer], run: RunFolder, *, minutes: float | None, resume: bool = False, as_json: bool = False
) -> int:
    """Trains, shows it, writes the report; returns the exit code: 0 done, 130 or 143 interrupted and saved."""
    # The time counts from when the command was typed: until here a command has done little but compute, and where it
    # is called from another program, nobody waited for all that this did before.
    begun = time.perf_counter() - min(time.process_time(), STARTED_SECONDS)
    from chainrule.cli.panel import make_watch
    from chainrule.report import write_report
    from chainrule.train import pretrain

    report: dict[str, str] = {}
    try:
        with _listening(make_watch(as_json)) as shown:

            def watch(kind: str, row: Mapping[str, Any]) -> None:
                if kind == "finished" and row.get("status") == "finished":
                    # Written here, when summary.json is there and nothing has been said yet of the end.
                    report["report"] = str(write_report(run, float(row.get("report_seconds") or math.inf)))
                    row = {**row, **report}
                shown(kind, row)

            summary = pretrain(layers, run.path, minutes=minutes, resume=resume, watch=watch, begun=begun)
    except Interrupted as fault:  # after the end: the run is finished, and its report is not
        summary = {"status": "interrupted", "signal": fault.signal_number}
    if as_json:
        print_json({"run": str(run.path), **summary, **report})
    if summary["status"] == "interrupted":
        kept = run.config.is_file()
        say(
            f"to go on: chainrule pretrain --resume {run.path}"
            if kept
            else "nothing was begun yet, and nothing is left"
        )
        return 128 + int(summary.get("signal") or signal.SIGINT)
    return 0


@contextmanager
def _listening(watched: AbstractContextManager[Watch]) -> Iterator[Watch]:
    """What shows a run, as long as somebody can see it.

    A terminal that is closed or a pipe without a reader asks the run to end, once, as the hang-up does that a closed
    terminal sends: it saves first, and under `nohup` it goes on unseen.
    """
    lost = False

    def show(kind: str, row: Mapping[str, Any]) -> None:
        nonlocal lost
        if lost:
            return
        try:
            shown(kind, row)
        except OSError:
            lost = True
            signal.raise_signal(getattr(signal, "SIGHUP", signal.SIGTERM))

    shown = watched.__enter__()
    try:
        yield show
    finally:
        with suppress(OSError):
            watched.__exit__(None, None, None)


def check_layers(layers: Sequence[Layer], minutes: float | None) -> None:
    """Raises ConfigError for what is wrong with the settings, before anything slow is begun."""
    automatic = choose(ANY_MACHINE, minutes=minutes, layers=layers)
    config = resolve(with_automatic(layers, automatic)).config
    if not config.text.paths:
        raise ConfigError("no text was given: name a folder, a file or a glob, as in `chainrule pretrain my_texts/`")
    from chainrule.data import check_paths

    check_paths(config.text.paths)
    _check_origin(config.origin.start_from)


def _check_origin(source: str | None) -> None:
    """Raises RunError, with the nearest name, for a run to go on from that is mistyped; other sources are left."""
    if source is None or "/" not in source or Path(source).exists():
        return
    if Path(source).parent.is_dir() or Path(source).parts[0] == "runs":
        open_run(Path(source))


def new_run(name: str | None, folder: Path, paths: Sequence[str]) -> RunFolder:
    """The folder of a run to be: by its name, or called after the text with the next free number.

    An absolute path is taken as it is. Raises RunError when a run of that name is there already, and for what is no
    name (nothing at all, a relative path), with the options that mean the same.
    """
    if name is None:
        return next_free(folder, name_of(paths))
    name = name.rstrip("/") or name
    given = Path(name)
    if given.name in ("", "..") or (given.name != name and not given.is_absolute()):
        word = shlex.quote(given.name if given.name not in ("", "..") else "NAME")
        raise RunError(
            f"--name {name!r} is no name of a folder in {folder}/; give one word, or another folder with it: "
            f"--runs-folder {shlex.quote(str(given.parent))} --name {word}"
        )
    path = given if given.is_absolute() else folder / name
    check_free(path)
    return RunFolder(path)


def name_of(paths: Sequence[str]) -> str:
    """A word for the text: the last part of the first path that is no pattern."""
    first = Path(paths[0]) if paths else Path("run")
    parts = [part for part in first.expanduser().absolute().parts if not re.search(r"[*?\[\]]", part)]
    stem = parts[-1].split(".")[0] if len(parts) > 1 else "run"
    return re.sub(r"[^\w-]+", "-", stem).strip("-")[:40] or "run"


def next_free(folder: Path, word: str) -> RunFolder:
    """word-1, word-2, …: the first that is not there."""
    number = 1
    while (folder / f"{word}-{number}").exists():
        number += 1
    return RunFolder(folder / f"{word}-{number}")


def run_to_resume(folder: Path) -> RunFolder:
    """The run in `folder` that was begun last; raises RunError when there is none."""
    runs = list_runs(folder)
    if not runs:
        raise RunError(f"there is no run in {folder}/ to resume; name one: `chainrule pretrain --resume runs/NAME`")
    return max(runs, key=lambda run: run.config.stat().st_mtime)


def show_changes(run: RunFolder, changes: Layer) -> None:
    """Says what a resumed run will do differently; raises ConfigError for a change that is not safe."""
    saved = load_toml(run.config)
    before, after = resolve([saved]).config, resolve([saved, changes]).config
    check_resume(before, after)
    for key, (old, new) in differences(before, after).items():
        say(f"changed: {key} from {old!r} to {new!r}")
