"""The options --out and --format of the classics: a page or a picture instead of the text."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from chainrule.base import LensError
from chainrule.cli.lens_output import PictureFormat, check_output, write_picture
from chainrule.cli.output import say

if TYPE_CHECKING:
    from chainrule.lens import Subject

Page = Annotated[Path | None, Parameter(help="Draw it into this file instead: .html, .svg, .md, .tex, .json or .txt.")]
PageFormat = Annotated[
    PictureFormat | None,
    Parameter(name="--format", help="term, html, svg, md, tex or json. Default: by the ending of --out."),
]


def page_wanted(out: Path | None, as_format: PictureFormat | None, *, as_json: bool) -> bool:
    """Whether a picture is asked for; raises LensError when it would have no place to go."""
    check_json_alone(out, as_format, as_json=as_json)
    check_output(as_format, out)
    return out is not None or as_format not in (None, "term")


def check_json_alone(out: Path | None, as_format: PictureFormat | None, *, as_json: bool) -> None:
    """Raises LensError when --json, which prints figures, comes with a picture's options."""
    if as_json and (out is not None or as_format is not None):
        raise LensError("--json prints figures and nothing else; leave it out, or leave out --out and --format")


def write_page(subject: "Subject", out: Path | None, as_format: PictureFormat | None) -> None:
    """Records the subject and writes its picture."""
    from chainrule.lens import picture
    from chainrule.lens.open import recorded

    write_picture(picture(recorded(subject, say=say), title=subject.name), as_format, out)
