"""Every format that a picture can be written in, by the word for it and by the ending of a file's name."""

from collections.abc import Callable

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
