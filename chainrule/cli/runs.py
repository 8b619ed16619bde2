"""`chainrule runs` lists what was trained; `chainrule runs diff A B` compares two runs at equal tokens."""

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

from cyclopts import App

from chainrule.base import ChainruleError, bytes_text, count_text, duration_text, folder_bytes
from chainrule.cli.options import RUNS, AsJson, RunsFolder, find_run
from chainrule.cli.output import print_json, print_table, say
from chainrule.config import Config, differences, load_toml, resolve
from chainrule.plan import parameters
from chainrule.run import RunFolder, is_running, list_runs, read_record, read_rows, rows_from_end

N_POINTS = 10
app = App(name="runs")


@dataclass(frozen=True)
class Overview:
    """One run in a line; None where the run has not come that far or its files do not tell."""

    name: str
    status: str
    parameters: int | None
    step: int
    steps: int | None
    tokens: int
    val_bits_per_byte: float | None
    seconds: float
    disk_bytes: int


@app.default
def runs(*, runs_folder: RunsFolder = RUNS, as_json: AsJson = False) -> None:
    """List runs: status, size of the model, steps, tokens, bits per byte on held-out text, time, size on disk.

    For example:
    - `chainrule runs`
    - `chainrule runs --runs-folder /data/runs`
    - `chainrule runs diff runs/a runs/b`
    """
    found = [_overview_or_name(run) for run in list_runs(runs_folder)]
    if as_json:
        print_json({"runs": [asdict(run) for run in found]})
    elif not found:
        say(f"no runs in {runs_folder}/ yet; `chainrule quickstart` makes the first in five minutes")
    else:
        columns = ("run", "status", "parameters", "steps", "tokens", "bits/byte", "time", "disk")
        print_table("", columns, [_line(run) for run in found], left=2)


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
    settings = differences(_config(pair[0]), _config(pair[1]))
    points = at_equal_tokens(held_out_curve(pair[0]), held_out_curve(pair[1]))
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


def overview(run: RunFolder) -> Overview:
    """What the run's files say of it; a run whose configuration cannot be read is listed as unreadable."""
    summary = read_record(run.summary)
    last: dict[str, Any] = next((row for row in rows_from_end(run.metrics) if "step" in row), {})
    looks = (row.get("val_bits_per_byte") for row in rows_from_end(run.metrics, "eval"))
    bits = next((bits for bits in looks if bits is not None), None)
    planned = read_record(run.machine).get("plan") or {}
    try:
        config = _config(run)
    except ChainruleError:
        config = None
    return Overview(
        name=run.name,
        status=_status(run, summary, config),
        parameters=parameters(config.model).total if config else None,
        step=int(summary.get("step") or last.get("step", 0)),
        # Where the steps were planned again on the way, the settings have the first plan.
        steps=planned.get("steps") or (config.training.steps if config else None),
        tokens=int(summary.get("tokens") or last.get("tokens", 0)),
        val_bits_per_byte=summary.get("val_bits_per_byte") or bits,
        seconds=float(summary.get("seconds") or last.get("seconds", 0.0)),
        disk_bytes=folder_bytes(run.path),
    )


def _overview_or_name(run: RunFolder) -> Overview:
    """One folder that cannot be read (another user's, a broken disk) must not hide the others."""
    try:
        return overview(run)
    except (ChainruleError, OSError):
        return Overview(run.name, "unreadable", None, 0, None, 0, None, 0.0, folder_bytes(run.path))


def held_out_curve(run: RunFolder) -> list[tuple[int, float]]:
    """(tokens, bits per byte) of each look at the held-out text, tokens rising."""
    points = {
        int(row["tokens"]): float(row["val_bits_per_byte"])
        for row in read_rows(run.metrics, "eval")
        if row.get("val_bits_per_byte") is not None and "tokens" in row
    }
    return sorted(points.items())


def at_equal_tokens(
    a: list[tuple[int, float]], b: list[tuple[int, float]], n_points: int = N_POINTS
) -> list[tuple[int, float, float]]:
    """Both curves at the same tokens, straight lines between measured points, over the range that both cover."""
    if not a or not b:
        return []
    low, high = max(a[0][0], b[0][0]), min(a[-1][0], b[-1][0])
    marks = sorted({tokens for tokens, _ in (*a, *b) if low <= tokens <= high})
    if len(marks) > n_points:
        marks = [marks[round(place * (len(marks) - 1) / (n_points - 1))] for place in range(n_points)]
    return [(tokens, _between(a, tokens), _between(b, tokens)) for tokens in marks]


def _between(curve: list[tuple[int, float]], tokens: int) -> float:
    after = next(place for place, point in enumerate(curve) if point[0] >= tokens)
    (right, high), (left, low) = curve[after], curve[max(after - 1, 0)]
    return high if right == left else low + (high - low) * (tokens - left) / (right - left)


def _config(run: RunFolder) -> Config:
    return resolve([load_toml(run.config)]).config


def _status(run: RunFolder, summary: dict[str, Any], config: Config | None) -> str:
    if is_running(run):
        return "running"
    return str(summary.get("status") or ("unreadable" if config is None else "interrupted"))


def _line(run: Overview) -> tuple[str, ...]:
    steps = f"{run.step:,}" + (f" of {run.steps:,}" if run.steps and run.step != run.steps else "")
    bits = "–" if run.val_bits_per_byte is None or math.isnan(run.val_bits_per_byte) else f"{run.val_bits_per_byte:.4f}"
    size = "–" if run.parameters is None else count_text(run.parameters)
    time = duration_text(run.seconds)
    return run.name, run.status, size, steps, count_text(run.tokens), bits, time, bytes_text(run.disk_bytes)


def _shown(value: Any) -> str:
    return "–" if value is None else json.dumps(value, ensure_ascii=False)
