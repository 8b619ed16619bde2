"""The text of a web page, without tags, scripts and menus. The only door to `selectolax` (extra `documents`).

selectolax parses as browsers do (lexbor, HTML5), whatever is broken, and needs nothing else. trafilatura judges besides
what of a page is its main text, but brings a dozen packages, and its judgement moves with their versions.
"""

import re
from collections.abc import Iterator
from typing import Any

from chainrule.base import MissingPackageError, bytes_text
from chainrule.data.page_depth import refuse_deep
from chainrule.data.tidying import decoded, tidied

MOST_BYTES = 64 << 20
# Where a page says in its first bytes how it is encoded.
CHARSET, CHARSET_WITHIN = (
    re.compile(rb"""<(?:meta|\?xml)[^>]{0,200}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I),
    4096,
)
# What a comment holds is not tried anew (?>…), or a page of many comments would be gone through without end.
BEGINS = re.compile(
    rb"\s*+(?:<\?xml[^>]{0,200}>\s*+)?(?:(?><!--.{0,2000}?-->)\s*+)*+<(?:!doctype\s+html|html)\b", re.I | re.S
)
NOT_SEEN = (
    "head script style noscript template svg math iframe object canvas video audio nav select button textarea"
    " datalist dialog"
)
# An empty line stands around these, as around a paragraph; the other blocks begin a line.
PARAGRAPHS = "article blockquote dl figure h1 h2 h3 h4 h5 h6 hr ol p pre section table ul"
LINES = (
    "address aside body caption dd details div dt fieldset figcaption footer form header html legend li main optgroup"
    " option summary tbody tfoot thead tr"
)
UNSEEN, APART = frozenset(NOT_SEEN.split()), frozenset(PARAGRAPHS.split())
BLOCKS = APART | frozenset(LINES.split())
BLANKS = re.compile(r"[ \t\r\n\f]+")


def page_texts(content: bytes) -> Iterator[str]:
    """The text of a page as one; raises ValueError for what is too long, of unknown encoding, or has no text."""
    text = page_text(content)
    if not text:
        raise ValueError("is a web page without text; a browser makes it by scripts, or it is empty")
    yield text


def page_text(content: bytes, said: str | None = None) -> str:
    """The text of a page, empty when it has none; `said` is the encoding that its sender says it has."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise MissingPackageError("reading HTML", "selectolax", "documents") from None
    if len(content) > MOST_BYTES:
        raise ValueError(f"is a web page of more than {bytes_text(MOST_BYTES)}; save it as plain text")
    found = CHARSET.search(content[:CHARSET_WITHIN])
    page = decoded(content, said or (found.group(1).decode("ascii") if found else None))
    refuse_deep(page)
    # NUL ends a text in C.
    root = LexborHTMLParser(page.replace("\0", "")).root
    return tidied("".join(_Lines().of(root))) if root is not None else ""


class _Lines:
    """The text of elements in order: blanks are one blank, and blocks stand on lines of their own."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blank, self._depth_of_pre = False, 0

    def of(self, root: Any) -> list[str]:
        """Goes through the tree by its links: a page may be nested deeper than Python calls functions."""
        node, entering = root, True
        while node is not None:
            seen = self._enter(node) if entering else None
            if entering and seen and node.child is not None:
                node = node.child
                continue
            if seen is not False:
                self._leave(node)
            if node.mem_id == root.mem_id:
                break
            entering = node.next is not None
            node = node.next if entering else node.parent
        return self._parts

    def _enter(self, node: Any) -> bool:
        """Whether what is inside is to be seen."""
        tag = node.tag
        if tag == "-text":
            self._add(node.text_content or "")
            return False
        # A processing instruction, <?php …>, has no name.
        if tag is None or tag in UNSEEN or tag.startswith(("-", "!")) or "hidden" in node.attributes:
            return False
        if tag == "br":
            self._break(1)
        elif tag in ("td", "th"):
            self._tab()
        elif tag in BLOCKS:
            self._break(2 if tag in APART else 1)
        self._depth_of_pre += tag == "pre"
        return True

    def _leave(self, node: Any) -> None:
        tag = node.tag
        self._depth_of_pre -= tag == "pre"
        if tag in BLOCKS:
            self._break(2 if tag in APART else 1)

    def _add(self, text: str) -> None:
        if self._depth_of_pre:
            self._parts.append(text)
            return
        words = BLANKS.sub(" ", text)
        at_start = not self._parts or self._parts[-1].endswith(("\n", "\t", " "))
        words = words.lstrip(" ") if at_start else words
        if words:
            self._parts.append(words)

    def _break(self, lines: int) -> None:
        if self._parts:
            have = 0
            while have < lines and len(self._parts) > have and self._parts[-1 - have] == "\n":
                have += 1
            self._parts.extend("\n" * (lines - have))

    def _tab(self) -> None:
        if self._parts and not self._parts[-1].endswith(("\n", "\t")):
            self._parts.append("\t")
