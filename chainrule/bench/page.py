"""All results as one page that stands alone: the newest of each contest with its losses, and how it went over time."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from statistics import median

from chainrule.bench.contest import ContestResult
from chainrule.bench.results import Result
from chainrule.bench.tables import HEAD, circumstances, rows
from chainrule.show import Axes, Curve, Html, document, grid, join, line_chart, tag

START = datetime(1970, 1, 1, tzinfo=UTC)
Dated = tuple[Result, ContestResult]


def results_page(results: Sequence[Result]) -> Html:
    """The whole document; trials (`--short`) are left out."""
    real = sorted((one for one in results if not one.short), key=lambda one: (one.kind, one.benchmark, one.made))
    parts = [
        join([tag("h2", f"{benchmark}, {kind}"), *_contests(list(some))])
        for (kind, benchmark), some in groupby(real, key=lambda one: (one.kind, one.benchmark))
    ]
    empty = tag("p", "No result yet: chainrule bench training", class_="note") if not parts else None
    return document("Benchmarks", empty, *parts)


def _contests(results: Sequence[Result]) -> Iterator[Html]:
    """Each contest of one benchmark on one class of processor, in the order of the newest result."""
    for name in [contest.name for contest in results[-1].contests]:
        dated = [(result, contest) for result in results for contest in result.contests if contest.name == name]
        result, newest = dated[-1]
        yield join(
            [
                tag("h3", f"{name}, {newest.unit}"),
                grid(HEAD, rows(newest)),
                *(tag("p", note, class_="note") for note in newest.notes),
                tag("p", f"{result.made}: {circumstances(result)}", class_="note"),
                _over_time(name, dated),
                _losses(name, newest),
            ]
        )


def _over_time(name: str, dated: Sequence[Dated]) -> Html:
    """How many times as good as the first side each other was; where there is one side alone, its figures.

    Results with another yardstick than the newest's (measured without a peer) are left out: their ratios are others.
    """
    newest = dated[-1][1]
    unit, yardstick, alone = newest.unit, newest.sides[0].name, len(newest.sides) == 1
    curves: dict[str, list[tuple[float, float]]] = {}
    for result, contest in dated:
        shown = [one for one in contest.sides if alone == (one.name == yardstick)]
        for side in shown if alone or contest.sides[0].name == yardstick else ():
            figure = side.middle if alone else median(contest.ratios(side))
            curves.setdefault(side.name, []).append((_days(result.made), figure))
    up = unit if alone else f"times as good as {yardstick}"
    axes = Axes(f"{name} over time", "day", up, _day, whole=True)
    return line_chart([Curve(side, points, dots=True) for side, points in curves.items()], axes)


def _losses(name: str, contest: ContestResult) -> Html:
    """The losses of the first round, laid over each other; of sides that made several steps."""
    curves = [
        Curve(side.name, list(enumerate(side.readings[0].losses, 1)))
        for side in contest.sides
        if len(side.readings[0].losses) > 1
    ]
    axes = Axes(f"{name}: losses of the first round", "step", "nats", whole=True)
    return line_chart(curves, axes)


def _days(made: str) -> float:
    return (datetime.fromisoformat(made) - START) / timedelta(days=1)


def _day(days: float) -> str:
    return f"{START + timedelta(days=days):%Y-%m-%d}"
