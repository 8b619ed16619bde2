"""A page that stands alone: one style, no script, nothing from any network."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib.resources import files

from chainrule.show.html import Html, join, tag


def document(title: str, *parts: object) -> Html:
    """The whole HTML page, with `title` as its heading."""
    style = Html(files("chainrule.show").joinpath("document.css").read_text(encoding="utf-8"))
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    # Text that slipped through could not act: no source of any kind but this very style.
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'"
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · chainrule"),
        tag("style", style),
    )
    body = tag("main", tag("p", "chainrule", class_="maker"), tag("h1", title), *parts)
    return join([Html("<!doctype html>\n"), tag("html", tag("head", *head), tag("body", body), lang="en"), "\n"])


def grid(columns: Sequence[str], lines: Iterable[Sequence[object]], *, left: int = 1) -> Html:
    """A table with a head, the first `left` columns to the left and the others, which are figures, to the right."""

    def row(cells: Sequence[object], name: str) -> Html:
        return tag("tr", join(tag(name, cell, class_=None if at < left else "n") for at, cell in enumerate(cells)))

    head = tag("thead", row(columns, "th"))
    return tag("div", tag("table", head, tag("tbody", join(row(line, "td") for line in lines))), class_="scroll")
