"""Runs as one file to send: the same page with its data inside, which asks nothing of any network."""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from chainrule.base import RunError, write_bytes
from chainrule.dashboard.asked import everything
from chainrule.dashboard.library import Library
from chainrule.show import Html, join, tag
from chainrule.web import page_files

MOST_SAVED = 20


def save_page(sources: Sequence[Path], path: Path) -> Path:
    """Writes the page with all that it shows of these runs; returns its path.

    Raises RunError where there is no run, or more than a file should hold.
    """
    library = Library(sources)
    names = list(library.runs())
    if not names:
        raise RunError(f"there is no run in {', '.join(map(str, sources))}; `chainrule runs` lists them")
    if len(names) > MOST_SAVED:
        raise RunError(f"{len(names)} runs are too many for one file; name up to {MOST_SAVED} of them")
    write_bytes(path, _page(everything(library), names[0]).encode())
    return path


def _page(content: dict[str, object], title: str) -> Html:
    found = page_files("chainrule.dashboard")
    style = Html(found["page.css"].read().decode())
    # Inside of an HTML file the only thing that could end a script is this.
    script = Html(found["page.js"].read().decode().replace("</script", "<\\/script"))
    # Runs' names and samples are anybody's text: with `<` spelt out none of it can end the element or begin another.
    data = Html(json.dumps(content, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))
    # No source of any kind but this very style and this very script: text that slipped through could not act.
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · chainrule"),
        tag("style", style),
    )
    body = tag(
        "body",
        tag("div", id="page"),
        tag("noscript", "The curves are drawn by a program in this page: allow scripts for it."),
        tag("script", data, type="application/json", id="saved"),
        tag("script", script, type="module"),
    )
    return join([Html("<!doctype html>\n"), tag("html", head, body, lang="en"), "\n"])


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
