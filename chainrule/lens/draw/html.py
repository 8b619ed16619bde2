"""A picture as one HTML file that asks nothing of any network: the graph, the walk back, every tensor."""

import base64
import hashlib
import re
from importlib.resources import files

from chainrule.lens.draw.data import Picture
from chainrule.lens.draw.plain import fitted, packed
from chainrule.lens.draw.words import check_depth
from chainrule.show import escaped

MOST_BYTES = 3_000_000
SCRIPTS = ("data.js", "graph.js", "panel.js", "walk.js", "start.js")


def to_html(picture: Picture, depth: int | None = None, most_bytes: int = MOST_BYTES) -> str:
    """The whole page, with modules unfolded down to `depth` at first; without it as deep as can be read at once.

    Where `most_bytes` do not hold everything, the page says what was left out.
    """
    check_depth(depth)
    style = _asset("page.css")
    script = '"use strict";\n(() => {\n' + "".join(_asset(name) for name in SCRIPTS) + "})();\n"
    # No source of any kind but this very style and this very script: text that slipped through could not act.
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
    frame = _asset("page.html")
    room = most_bytes - len((frame + style + script + policy).encode()) - 4 * len(picture.title)
    slots = {
        "policy": policy,
        "title": escaped(picture.title),
        "depth": "" if depth is None else str(depth),
        "style": style,
        "picture": packed(fitted(picture, room)),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda slot: slots[slot[1]], frame)


def _asset(name: str) -> str:
    return files("chainrule.lens.draw").joinpath("page", name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
