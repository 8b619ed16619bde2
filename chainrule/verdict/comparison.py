"""Runs side by side: each in a line, and two of them at equal tokens."""

from dataclasses import dataclass
from typing import Any

from chainrule.base import ChainruleError, folder_bytes
from chainrule.config import Config, differences, load_toml, resolve
from chainrule.run import RunFolder, is_running, read_record, read_rows, rows_from_end

N_POINTS = 10


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


@dataclass(frozen=True)
class Comparison:
    """The settings in which two runs differ, and both held-out curves (bits per byte) at the same tokens."""

    settings: dict[str, tuple[Any, Any]]
    points: list[tuple[int, float, float]]


def compare(first: RunFolder, second: RunFolder) -> Comparison:
    """Two runs; raises ConfigError for one whose settings cannot be read."""
    settings = differences(config_of(first), config_of(second))
    return Comparison(settings, at_equal_tokens(held_out_curve(first), held_out_curve(second)))


def config_of(run: RunFolder) -> Config:
    """The settings that the run was begun with."""
    return resolve([load_toml(run.config)]).config


def overview(run: RunFolder) -> Overview:
    """What the run's files say of it; a run whose configuration cannot be read is listed as unreadable."""
    summary = read_record(run.summary)
    last: dict[str, Any] = next((row for row in rows_from_end(run.metrics) if "step" in row), {})
    looks = (row.get("val_bits_per_byte") for row in rows_from_end(run.metrics, "eval"))
    bits = next((bits for bits in looks if bits is not None), None)
    planned = read_record(run.machine).get("plan") or {}
    try:
        config = config_of(run)
    except ChainruleError:
        config = None
    return Overview(
        name=run.name,
        status=_status(run, summary, config),
        parameters=planned.get("parameters") or summary.get("parameters"),
        step=int(summary.get("step") or last.get("step", 0)),
        # Where the steps were planned again on the way, the settings have the first plan.
        steps=planned.get("steps") or (config.training.steps if config else None),
        tokens=int(summary.get("tokens") or last.get("tokens", 0)),
        val_bits_per_byte=summary.get("val_bits_per_byte") or bits,
        seconds=float(summary.get("seconds") or last.get("seconds", 0.0)),
        disk_bytes=folder_bytes(run.path),
    )


def overview_or_name(run: RunFolder) -> Overview:
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


def _status(run: RunFolder, summary: dict[str, Any], config: Config | None) -> str:
    if is_running(run):
        return "running"
    return str(summary.get("status") or ("unreadable" if config is None else "interrupted"))
