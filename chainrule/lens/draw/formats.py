"""Every format that a picture can be written in, by the word for it and by the ending of a file's name."""

from collections.abc import Callable

from chainrule.base import LensError
from chainrule.lens.draw.data import Picture
from chainrule.lens.draw.html import to_html
from chainrule.lens.draw.plain import to_json
from chainrule.lens.draw.svg import to_svg
from chainrule.lens.draw.written import to_latex, to_markdown, to_terminal

FORMATS: dict[str, Callable[[Picture], str]] = {
    "term": to_terminal,
    "html": to_html,
    "svg": to_svg,
    "json": to_json,
    "md": to_markdown,
    "tex": to_latex,
}
# In these a depth says how far modules are unfolded.
UNFOLDING: dict[str, Callable[[Picture, int | None], str]] = {"term": to_terminal, "html": to_html, "svg": to_svg}


def picture_text(picture: Picture, as_format: str, depth: int | None = None) -> str:
    """The picture in a format of FORMATS. Raises LensError for another, and where `depth` would not be honoured."""
    if as_format not in FORMATS:
        raise LensError(f"there is no format {as_format!r}; take {', '.join(FORMATS)}")
    if depth is None:
        return FORMATS[as_format](picture)
    if depth < 0 or as_format not in UNFOLDING:
        raise LensError(f"depth={depth} does not go with {as_format}; it is 0 or more, for {', '.join(UNFOLDING)}")
    return UNFOLDING[as_format](picture, depth)
