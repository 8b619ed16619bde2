"""Where the instruments of the lens put a picture: on the terminal, or in a file whose ending says the format."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from chainrule.base import LensError, write_bytes
from chainrule.cli.output import say

if TYPE_CHECKING:
    from chainrule.lens import Picture

PictureFormat = Literal["term", "html", "svg", "json", "md", "tex"]
UNFOLDING = ("term", "html", "svg")
ENDINGS: dict[str, PictureFormat] = {
    ".html": "html",
    ".htm": "html",
    ".svg": "svg",
    ".json": "json",
    ".md": "md",
    ".tex": "tex",
    ".txt": "term",
}


def picture_format(as_format: PictureFormat | None, out: Path | None) -> PictureFormat:
    """The format that was asked for, or that the file's ending means; the terminal's without either."""
    if as_format is not None:
        return as_format
    if out is None:
        return "term"
    if out.suffix.lower() not in ENDINGS:
        raise LensError(f"{out} does not say its format; end it in {', '.join(ENDINGS)}, or add --format")
    return ENDINGS[out.suffix.lower()]


def check_output(as_format: PictureFormat | None, out: Path | None, depth: int | None = None) -> None:
    """Raises LensError before any work is done when the picture would have no place to go, or `depth` no effect."""
    chosen = picture_format(as_format, out)
    if depth is not None and (depth < 0 or chosen not in UNFOLDING):
        raise LensError(f"--depth {depth} does not go with {chosen}; it is 0 or more, for {', '.join(UNFOLDING)}")
    if out is not None and not out.parent.is_dir():
        raise LensError(f"{out.parent} is not a folder; make it first: mkdir -p {out.parent}")
    if chosen == "html" and out is None and sys.stdout.isatty():
        raise LensError("a page on the terminal cannot be read; add --out graph.html")


def write_picture(
    picture: "Picture", as_format: PictureFormat | None = None, out: Path | None = None, depth: int | None = None
) -> None:
    """Prints the picture, or writes it to `out` and says where it is; the ending says the format when none is given."""
    from chainrule.lens.draw import picture_text

    content = picture_text(picture, picture_format(as_format, out), depth)
    if out is None:
        print(content, end="")
        return
    write_bytes(out, content.encode("utf-8", "replace"))
    say(f"{len(picture.ops)} operations, {out.stat().st_size / 1000:,.0f} kB")
    print(out)
