"""The comparison as one page that stands alone: the verdict, three pictures, tables, samples side by side."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from chainrule.base import write_bytes
from chainrule.compare.curves import AXES, Axis, mean_line
from chainrule.compare.found import Comparison
from chainrule.compare.groups import Group
from chainrule.compare.tables import TITLES, UNITS, Shown, at_text, comparison_tables
from chainrule.show import Axes, Curve, Html, document, grid, join, line_chart, tag

MOST_CHARACTERS, LONGEST_NAME, MOST_DOTS = 1600, 120, 40


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Writes compare-A-B.html into `folder`, the runs' own; returns its path. An earlier one of the same runs goes."""
    word = re.sub(r"[^\w.-]+", "-", "-".join(group.own.run.name for group in found.groups))[:LONGEST_NAME]
    path = folder / f"compare-{word}.html"
    write_bytes(path, page(found).encode())
    return path


def page(found: Comparison) -> Html:
    """The whole document."""
    title = " against ".join(group.name for group in found.groups)
    return document(
        title,
        join(tag("p", one.verdict.text, class_="said") for one in found.judged),
        tag("p", found.held_out.said, class_="note") if found.held_out.same else None,
        join(tag("p", note, class_="note") for note in found.notes),
        *_pictures(found),
        join(_table(one) for one in comparison_tables(found)),
        _samples(found),
    )


def _pictures(found: Comparison) -> Iterator[Html]:
    if not found.held_out.same:
        yield tag("p", "Their curves are of different bytes and are not laid over each other.", class_="note")
        return
    for axis in AXES:
        axes = Axes(TITLES[axis], UNITS[axis], "bits per byte of held-out text", partial(at_text, axis))
        yield line_chart([_curve(group, axis) for group in found.groups], axes)


def _curve(group: Group, axis: Axis) -> Curve:
    """The mean over seeds and its spread; of one seed the run itself."""
    lines = group.lines(axis)
    if len(lines) == 1:
        (line,) = lines.values()
        return Curve(f"{group.name} (one seed)", line, dots=len(line) < MOST_DOTS)
    points, spread = mean_line(lines)
    return Curve(f"{group.name} (mean of {len(lines)} seeds ± standard deviation)", points, spread)


def _table(one: Shown) -> Html:
    note = tag("p", one.note, ".", class_="note") if one.note else None
    return join([tag("h2", one.title), note, grid(one.columns, one.rows, left=one.left) if one.rows else None])


def _samples(found: Comparison) -> Html | None:
    if not found.samples:
        return None
    parts = []
    for prompt, written in found.samples.items():
        beside = (tag("div", tag("h3", name), _text(prompt, text)) for name, text in written.items())
        parts.append(tag("div", join(beside), class_="beside"))
    return join([tag("h2", "What they wrote last"), *parts])


def _text(prompt: str, text: str) -> Html:
    cut = text[:MOST_CHARACTERS] + ("…" if len(text) > MOST_CHARACTERS else "")
    return tag("pre", tag("b", prompt), cut, tabindex="0")
