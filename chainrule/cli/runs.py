"""`chainrule runs` lists what was trained, shows one, compares two at equal tokens, and removes what is not wanted."""

import json
import math
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import App, Parameter

from chainrule.base import RunError, bytes_text, count_text, duration_text
from chainrule.cli.asking import agreed
from chainrule.cli.options import AsJson, RunsFolder
from chainrule.cli.output import print_json, print_table, put, put_line, say
from chainrule.run import (
    RUNS,
    find_run,
    freed_bytes,
    list_runs,
    read_facts,
    remove_run,
    unused_parts,
)
from chainrule.show import printable
from chainrule.verdict import Overview, compare, findings, lineage_words, overview_or_name

app = App(name="runs")
app.command("chainrule.cli.runs_prune:prune", name="prune", help="Free the space that runs do not need, after asking.")
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
MOST_SAMPLES = 3


@app.default
def runs(*, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """List runs: status, size of the model, steps, tokens, bits per byte on held-out text, time, size on disk.

    For example:
    - `chainrule runs`
    - `chainrule runs --runs-folder /data/runs`
    - `chainrule runs diff runs/a runs/b`
    """
    found = [overview_or_name(run) for run in list_runs(runs_folder)]
    if as_json:
        print_json({"runs": [asdict(run) for run in found]})
    elif not found:
        say(f"no runs in {runs_folder}/ yet; `chainrule quickstart` makes the first in five minutes")
    else:
        columns = ("run", "status", "parameters", "steps", "tokens", "bits/byte", "time", "disk")
        print_table("", columns, [_line(run) for run in found], left=2)
        for run in found:
            for reason in run.unused:
                say(f"{run.name}: {reason}")


@app.command
def diff(first: str, second: str, /, *, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Show the settings in which two runs differ, and their held-out bits per byte at equal tokens.

    Example: `chainrule runs diff runs/a runs/b`

    Parameters
    ----------
    first
        A run folder, or a name in the runs folder.
    second
        Another.
    """
    pair = [find_run(name, runs_folder) for name in (first, second)]
    for run in pair:
        for reason in unused_parts(run):
            say(f"{run.name}: {reason}")
    found = compare(*pair)
    settings, points = found.settings, found.points
    if as_json:
        names = [run.name for run in pair]
        changed = {key: dict(zip("ab", values, strict=True)) for key, values in settings.items()}
        curve = [dict(zip(("tokens", "a", "b"), point, strict=True)) for point in points]
        print_json({"a": names[0], "b": names[1], "settings": changed, "val_bits_per_byte": curve})
        return
    columns = tuple(run.name for run in pair)
    rows = [(key, *map(_shown, values)) for key, values in settings.items()]
    print_table("Settings that differ" if rows else "All settings are equal", ("setting", *columns), rows, left=3)
    lines = [(count_text(tokens), f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}") for tokens, a, b in points]
    if lines:
        print_table("\nBits per byte on held-out text", ("tokens", *columns, "difference"), lines)
    else:
        say("no tokens at which both were measured on held-out text")


@app.command
def rm(*names: str, yes: Flag = False, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> int:
    """Remove runs with everything in them, after asking.

    For example:
    - `chainrule runs rm my_texts-1`
    - `chainrule runs rm runs/a runs/b --yes`

    Parameters
    ----------
    names
        Run folders, or names in the runs folder.
    yes
        Do not ask.
    """
    if not names:
        raise RunError("name the runs to remove: `chainrule runs rm NAME`; `chainrule runs` lists them")
    doomed = list({run.path.absolute(): run for run in (find_run(name, runs_folder) for name in names)}.values())
    sizes = {run.name: freed_bytes(run) for run in doomed}
    if not yes and not agreed([f"{run.path}, {bytes_text(sizes[run.name])}" for run in doomed]):
        say("nothing was removed")
        return 1
    for run in doomed:
        remove_run(run)
    if as_json:
        print_json({"removed": [str(run.path) for run in doomed], "freed_bytes": sum(sizes.values())})
    else:
        say(f"removed {len(doomed)}, {bytes_text(sum(sizes.values()))} freed")
    return 0


@app.command
def show(name: str = "last", /, *, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """Show one run: how far it came, what was measured, what it wrote last, and what to type next.

    Example: `chainrule runs show my_texts-1`

    Parameters
    ----------
    name
        A run folder, or a name in the runs folder. Default: the newest run.
    """
    run = find_run(name, runs_folder)
    facts = read_facts(run)
    if as_json:
        print_json({"run": asdict(overview_or_name(run)), "summary": facts.summary.row()})
        return
    columns = ("run", "status", "parameters", "steps", "tokens", "bits/byte", "time", "disk")
    print_table("", columns, [_line(overview_or_name(run))], left=2)
    if forked := lineage_words(facts.lineage):
        put_line(forked)
    for verdict in findings(facts):
        put_line(f"{verdict.mark}: {verdict.text}")
    for sample in facts.samples[-MOST_SAMPLES:]:
        put(f"\n{printable(sample.prompt + sample.text)}")
    say("", f"chainrule generate {run.path}", f"chainrule report {run.path}")


def _line(run: Overview) -> tuple[str, ...]:
    steps = f"{run.step:,}" + (f" of {run.steps:,}" if run.steps and run.step != run.steps else "")
    bits = "–" if run.val_bits_per_byte is None or math.isnan(run.val_bits_per_byte) else f"{run.val_bits_per_byte:.4f}"
    size = "–" if run.parameters is None else count_text(run.parameters)
    time = duration_text(run.seconds)
    return run.name, run.status, size, steps, count_text(run.tokens), bits, time, bytes_text(run.disk_bytes)


def _shown(value: Any) -> str:
    return "–" if value is None else json.dumps(value, ensure_ascii=False)
