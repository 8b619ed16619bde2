"""The options that say where the verbs of the lens put what they found, and what of it goes together."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.base import LensError
from chainrule.show import format_of

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
Level = Literal["op", "core"]
PictureFormat = Literal["term", "html", "svg", "json", "md", "tex"]
Page = Annotated[Path | None, Parameter(help="Draw it into this file instead: .html, .svg, .md, .tex, .json or .txt.")]
PageFormat = Annotated[
    PictureFormat | None,
    Parameter(name="--format", help="term, html, svg, md, tex or json. Default: by the ending of --out."),
]


def format_asked(as_format: PictureFormat | None, out: Path | None) -> str:
    """The format that was asked for, or that the file's ending means; text without either, which is called term here.

    Raises LensError before any work is done when there is no place for what will be found.
    """
    chosen = as_format if as_format is not None else "term" if out is None else format_of(out)
    if out is not None and not out.parent.is_dir():
        raise LensError(f"{out.parent} is not a folder; make it first: mkdir -p {out.parent}")
    if chosen == "html" and out is None and sys.stdout.isatty():
        raise LensError("a page on the terminal cannot be read; add --out graph.html")
    return "text" if chosen == "term" else chosen


def page_wanted(out: Path | None, as_format: PictureFormat | None, *, as_json: bool) -> bool:
    """Whether a classic is to be drawn instead of told; raises LensError when that would have no place to go."""
    check_json_alone(out, as_format, as_json=as_json)
    return format_asked(as_format, out) != "text" or out is not None


def check_coordinate(weight: str | None, coordinate: str | None) -> None:
    """Raises LensError for a place without the weight that it is a place in."""
    if coordinate is not None and weight is None:
        raise LensError("--coordinate needs --weight: the name of the weight that it is a place in")


def check_json_alone(out: Path | None, as_format: PictureFormat | None, *, as_json: bool) -> None:
    """Raises LensError when --json, which prints figures, comes with the options of a file."""
    if as_json and (out is not None or as_format is not None):
        raise LensError("--json prints figures and nothing else; leave it out, or leave out --out and --format")
