"""A ladder as one page that stands alone: the rungs, the law, what was foretold and what came."""

from pathlib import Path

from chainrule.base import count_text, write_bytes
from chainrule.ladder.outcome import Climbed, ladder_tables, new_tokens, verdict
from chainrule.show import Axes, Curve, Html, document, grid, join, line_chart, tag

PLACES = 40


def write_ladder_page(found: Climbed) -> Path:
    """Writes ladder.html into the ladder's folder; returns its path."""
    path = found.path / "ladder.html"
    write_bytes(path, page(found).encode())
    return path


def page(found: Climbed) -> Html:
    """The whole document."""
    tables = []
    for title, heads, rows, note in ladder_tables(found):
        tables.append(join([tag("h2", title), tag("p", note, class_="note"), grid(heads, rows, left=1)]))
    return document(
        f"Ladder {found.path.name}",
        tag("p", verdict(found), class_="said"),
        _law(found),
        line_chart(
            _curves(found),
            Axes("Ladder", "operations of the training", "bits per byte of held-out text", "{:.0e}".format, log=True),
        ),
        *tables,
    )


def _law(found: Climbed) -> Html | None:
    if found.fitted is None:
        return None
    law = found.fitted.law
    return tag(
        "p",
        f"Bits per byte = {law.E:.3f} + {law.A:.3g} / N^{law.alpha:.3f} + {law.B:.3g} / D^{law.beta:.3f}, N the "
        f"weights and D the tokens of new text ({count_text(found.unique)} of its own, what is read again worth "
        "less). With so few runs the single constants are not known well; where they lead is.",
        class_="note",
    )


def _curves(found: Climbed) -> list[Curve]:
    longer = [one for one in found.climbs if one.rung.name.endswith("-longer")]
    usual = [one for one in found.climbs if one not in longer]
    curves = [
        Curve("rungs", [(one.rung.compute, one.bits) for one in usual], dots=True, line=False),
        Curve("rungs with more tokens", [(one.rung.compute, one.bits) for one in longer], dots=True, line=False),
    ]
    if found.fitted is not None and found.prediction is not None:
        said, top = found.prediction, found.top
        curves.append(Curve("the law, from the rungs to the top", _line(found)))
        half = (said.high - said.low) / 2
        curves.append(
            Curve(
                "the interval that was foretold, and its middle",
                [(top.compute, (said.high + said.low) / 2)],
                [half],
                dots=False,
                line=False,
            )
        )
    if found.measured is not None:
        curves.append(Curve("the top, measured", [(found.top.compute, found.measured.bits)], dots=True, line=False))
    return curves


def _line(found: Climbed) -> list[tuple[float, float]]:
    """The law along a path from the smallest rung to the top, on which weights and tokens grow alike."""
    assert found.fitted is not None
    first, top = min((one.rung for one in found.climbs), key=lambda rung: rung.compute), found.top
    points = []
    for place in range(PLACES + 1):
        share = place / PLACES
        weights = first.weights * (top.weights / first.weights) ** share
        since, until = (new_tokens(rung, found.unique) for rung in (first, top))
        tokens = first.tokens * (top.tokens / first.tokens) ** share
        points.append((6 * weights * tokens, found.fitted.law.loss(weights, since * (until / since) ** share)))
    return points
