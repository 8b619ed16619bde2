"""`chainrule compare`: two or more runs side by side, and whether what parts them is more than noise."""

import signal
import webbrowser
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chainrule.base import ConfigError, duration_text
from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.run import RUNS, RunFolder, find_run
from chainrule.show import one_line, printable

if TYPE_CHECKING:
    from chainrule.compare import Comparison

SAMPLE_WIDTH = 200


def compare(
    *runs: str,
    seeds: int | None = None,
    show_page: Annotated[bool, Parameter(name="--open", negative=(), show_default=False)] = False,
    runs_folder: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> int:
    """Hold runs against each other: at equal tokens, computation and time, with what of it is noise.

    Bits per byte are compared where the held-out bytes are the same. Noise is told by seeds: runs that are equal but
    for training.seed count together, and differences are taken between runs of the same seed. A page with the pictures
    is written beside the runs. Examples:

    - `chainrule compare runs/a runs/b`
    - `chainrule compare runs/a runs/b runs/c --open`
    - `chainrule compare runs/a runs/b --seeds 3`

    Parameters
    ----------
    runs
        Run folders, or names in the runs folder. The others are held against the first.
    seeds
        How many seeds each run shall have. What is missing is trained, as NAME-seed-1 beside the run, and found again.
    show_page
        Open the page in the browser.
    """
    folders = [find_run(name, runs_folder) for name in runs]
    if len(folders) < 2:
        raise ConfigError("name two or more runs: `chainrule compare runs/a runs/b`; `chainrule runs` lists them")
    from chainrule.compare import compare_runs, write_comparison

    found = compare_runs(folders)
    if seeds is not None:
        if not found.held_out.same:
            say("no seeds are trained: the runs are not scored on the same held-out bytes")
        elif code := _train_missing(found, seeds, folders, as_json=as_json):
            return code
        else:
            found = compare_runs(folders)
    page = write_comparison(found, folders[0].path.parent)
    if as_json:
        print_json({**found.row(), "page": str(page)})
    else:
        _print(found)
        say(f"page: {page}")
    if show_page:
        webbrowser.open(page.resolve().as_uri())
    return 0


def _train_missing(found: "Comparison", seeds: int, folders: list[RunFolder], *, as_json: bool) -> int:
    """Trains what is missing, one after the other; returns the exit code of a signal, else 0."""
    from chainrule.compare import missing_seeds, require_seeds_room, train_seed
    from chainrule.panel import listening, make_watch

    missing = missing_seeds(found.groups, seeds)
    require_seeds_room(missing)
    total = sum(one.seconds for one in missing)
    if missing:
        say(f"{len(missing)} runs are missing, about {duration_text(total)} of training")
    for number, one in enumerate(missing, 1):
        word = "going on with" if one.begun else "training"
        say(f"{word} {number} of {len(missing)}: {one.group.name} with seed {one.seed}, {one.run.path}")
        with listening(make_watch(json_mode=as_json)) as watch:
            summary = train_seed(one, watch)
        if summary.status == "interrupted":
            names = " ".join(str(run.path) for run in folders)
            say(f"to go on: chainrule compare {names} --seeds {seeds}")
            return 128 + (summary.signal or signal.SIGINT)
    return 0


def _print(found: "Comparison") -> None:
    from chainrule.compare import comparison_tables

    for one in found.judged:
        put(one.verdict.text)
    for note in (*([found.held_out.said] if found.held_out.same else []), *found.notes):
        put(note)
    for table in comparison_tables(found):
        put()
        rows = [[printable(cell) for cell in row] for row in table.rows]
        print_table(table.title, [printable(column) for column in table.columns], rows, left=table.left)
        if table.note and rows:
            put(f"{table.note}.")
    for prompt, written in found.samples.items():
        put(f"\n{one_line(prompt, 80)}")
        for name, text in written.items():
            put(f"  {printable(name)}: {one_line(text, SAMPLE_WIDTH)}")
