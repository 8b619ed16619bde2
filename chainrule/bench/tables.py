"""A contest as rows of a table, for the terminal and for the page."""

from collections.abc import Sequence
from statistics import median

from chainrule.bench.contest import ContestResult, SideResult
from chainrule.bench.results import Result

HEAD = ("side", "median", "lowest", "highest", "by processor time", "× the first", "lowest", "highest")


def rows(contest: ContestResult) -> list[Sequence[str]]:
    """A row for each side: the median of the rounds with its spread, and how many times as good as the first it is."""
    return [_row(contest, side) for side in contest.sides]


def _row(contest: ContestResult, side: SideResult) -> Sequence[str]:
    by_cpu = side.middle_by_cpu
    ratios = contest.ratios(side)
    compared = ("1", "", "") if side is contest.sides[0] else tuple(map(_times, (median(ratios), *_ends(ratios))))
    figures = (side.middle, *_ends(side.figures))
    return (side.name, *(f"{one:,.4g}" for one in figures), "" if by_cpu is None else f"{by_cpu:,.4g}", *compared)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _times(ratio: float) -> str:
    return f"{ratio:.2f}"


def circumstances(result: Result) -> str:
    """Where and how it was measured, in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in result.versions.items())
    company = "load not known"
    if result.waited is not None:
        company = f"some program waited for a processor in {result.waited:.0%} of the time"
        company += ": CONTENDED" if result.contended else ""
    short = ", short: a trial, no figure" if result.short else ""
    return (
        f"{result.machine['cpu']} ({result.kind}), {result.threads} thread{'s' if result.threads > 1 else ''}, "
        f"{result.rounds} round{'s' if result.rounds > 1 else ''}{short}; {company}; text: {result.text}; {versions}"
    )
