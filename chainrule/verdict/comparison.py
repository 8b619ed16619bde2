"""Runs side by side: each in a line, and two of them at equal tokens."""

from dataclasses import dataclass
from typing import Any

from chainrule.base import ChainruleError, folder_bytes
from chainrule.config import Config, differences, load_toml, resolve
from chainrule.run import (
    EvalRow,
    Plan,
    RunFolder,
    Summary,
    TrainRow,
    held_out_rows,
    is_running,
    last_record,
    read_start,
    read_summary,
    rows_from_end,
    sealed_path,
    unsealed_files,
)

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
    unused: tuple[str, ...] = ()
    """What of its small files is not as the run wrote it, in words."""


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
    return resolve([load_toml(sealed_path(run, run.config))]).config


def overview(run: RunFolder) -> Overview:
    """What the run's files say of it; a run whose configuration cannot be read is listed as unreadable."""
    summary = read_summary(run)
    last = last_record(run.metrics, TrainRow) or TrainRow(0)
    looks = (EvalRow.of(row) for row in rows_from_end(run.metrics, EvalRow.KIND))
    bits = next((look.val_bits_per_byte for look in looks if look and look.val_bits_per_byte is not None), None)
    planned = read_start(run).plan or Plan()
    try:
        config = config_of(run)
    except ChainruleError:
        config = None
    return Overview(
        name=run.name,
        status=_status(run, summary, config),
        parameters=planned.parameters or summary.parameters,
        step=summary.step or last.step,
        # Where the steps were planned again on the way, the settings have the first plan.
        steps=planned.steps or (config.training.steps if config else None),
        tokens=summary.tokens or last.tokens,
        # A run that goes on keeps the figures of its first end in the summary, and has newer looks.
        val_bits_per_byte=summary.val_bits_per_byte if summary.status == "finished" else bits,
        seconds=summary.seconds or last.seconds,
        disk_bytes=folder_bytes(run.path),
        unused=tuple(unsealed_files(run)),
    )


def overview_or_name(run: RunFolder) -> Overview:
    """One folder that cannot be read (another user's, a broken disk) must not hide the others."""
    try:
        return overview(run)
    except (ChainruleError, OSError):
        return Overview(run.name, "unreadable", None, 0, None, 0, None, 0.0, folder_bytes(run.path))


def held_out_curve(run: RunFolder) -> list[tuple[int, float]]:
    """(tokens, bits per byte) of each look at the held-out text, tokens rising."""
    looks = held_out_rows(run)
    points = {look.tokens: look.val_bits_per_byte for look in looks if look.val_bits_per_byte is not None}
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


def _status(run: RunFolder, summary: Summary, config: Config | None) -> str:
    if is_running(run):
        return "running"
    return summary.status or ("unreadable" if config is None else "interrupted")
