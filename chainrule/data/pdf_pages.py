"""The text of a PDF, page after page. The only door to `pypdf` (extra `documents`).

pypdf is Python alone and needs nothing else; it reads text that is text. A page that is a picture has none.
"""

import logging
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from chainrule.base import MissingPackageError, bytes_text
from chainrule.data.tidying import tidied

MARK, MARK_WITHIN = b"%PDF-", 1024
# The longest books have some 10 MB of text; what goes on beyond this is made to do so.
MOST_TEXT = 256 << 20
# A page has an object and a content of its own. A tree that names itself, or one page again and again, has no end.
SHORTEST_PAGE, FEW_PAGES = 200, 2_000
# pypdf takes apart, word by word, all that pages say how to draw. Real ones
# shrink to a fifth or tenth; forms within forms draw one thing again and again.
MOST_DRAWN_BYTES, MOST_WORDS, RATIO = 1 << 20, 200_000, 20
# A form takes more than a word: 262,144 words, mostly calls of forms, took 8.5 s.
FORM_WORDS = 10


def pdf_texts(content: bytes) -> Iterator[str]:
    """The whole text as one; raises ValueError for what is no PDF, locked, damaged, or has no text."""
    try:
        import pypdf
    except ImportError:
        raise MissingPackageError("reading a PDF", "pypdf", "documents") from None
    if MARK not in content[:MARK_WITHIN]:
        raise ValueError("is no PDF, whatever its name says")
    # It tells of every small flaw of a file on standard error.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = pypdf.PdfReader(BytesIO(content))
        # Many are locked against changes alone, and open with an empty password.
        if reader.is_encrypted and not reader.decrypt(""):
            raise ValueError(LOCKED)
        _refuse_endless(reader, FEW_PAGES + len(content) // SHORTEST_PAGE)
        pages = list(_pages(reader, len(content)))
    except ValueError as fault:
        raise ValueError(
            str(fault) if str(fault) in (LOCKED, ENDLESS, DRAWN) else f"is a damaged PDF ({fault})"
        ) from None
    # What damage makes pypdf raise is open-ended: KeyError, TypeError, RecursionError and its own.
    except Exception as fault:
        locked = isinstance(fault, pypdf.errors.DependencyError | pypdf.errors.FileNotDecryptedError)
        raise ValueError(LOCKED if locked else f"is a damaged PDF ({type(fault).__name__}: {fault})") from fault
    text = tidied("\n".join(pages))
    if not text:
        raise ValueError("has no text in it: its pages are pictures; run OCR first (ocrmypdf in.pdf out.pdf)")
    yield text


LOCKED = "is locked with a password; take it off first (qpdf --decrypt in.pdf out.pdf)"


DRAWN = (
    f"draws more than {bytes_text(MOST_DRAWN_BYTES)} and {RATIO} times its size, or one thing again and again: this "
    "looks like a bomb; print it to a new PDF if it is meant"
)
ENDLESS = "has a tree of pages without end: this looks like a bomb"


def _refuse_endless(reader: Any, most: int) -> None:
    """Raises ValueError for a tree that leads to more than `most` nodes and as many places; reads no page."""
    nodes = [reader.trailer["/Root"].get_object().get("/Pages")]
    n_nodes = 0
    while nodes:
        node = nodes.pop()
        node = node.get_object() if node is not None else {}
        kids = node.get("/Kids") if isinstance(node, dict) else None
        below = list(kids.get_object()) if kids is not None else []
        n_nodes += 1 + len(below)
        if n_nodes > 2 * most:
            raise ValueError(ENDLESS)
        nodes.extend(below)


def _may_draw_forms(page: Any) -> bool:
    """Whether anything is drawn on it by name. What is not need not be counted, and pypdf passes over figures then."""
    resources = page.get("/Resources")
    resources = resources.get_object() if resources is not None else {}
    return not isinstance(resources, dict) or "/XObject" in resources


class _Drawn:
    """How much of the drawing of all pages is left; raises ValueError where it is too much for the file."""

    def __init__(self, n_bytes: int) -> None:
        self._bytes_left = max(MOST_DRAWN_BYTES, RATIO * n_bytes)
        self._words_left = max(MOST_WORDS, self._bytes_left // 4)

    def page(self, page: Any) -> None:
        """A page is about to be read: its content, before it is taken apart."""
        content = page.get_contents()
        self._bytes_left -= len(content.get_data()) if content is not None else 0
        if self._bytes_left < 0:
            raise ValueError(DRAWN)

    def word(self, operator: bytes, *_: object) -> None:
        """One word of it, in forms too."""
        self._words_left -= FORM_WORDS if operator == b"Do" else 1
        if self._words_left < 0:
            raise ValueError(DRAWN)


def _pages(reader: Any, n_bytes: int) -> Iterator[str]:
    left, drawn = MOST_TEXT, _Drawn(n_bytes)
    for page in reader.pages:
        drawn.page(page)
        text = page.extract_text(visitor_operand_before=drawn.word if _may_draw_forms(page) else None)
        left -= len(text)
        if left < 0:
            raise ValueError(f"more than {bytes_text(MOST_TEXT)} of text")
        yield text
