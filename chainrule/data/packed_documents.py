"""Documents that are zip archives of XML: Word's (.docx), LibreOffice's (.odt), books (.epub), told by what is in them.

Headers, page numbers, comments and what was deleted under "track changes" are left out; footnotes stand at the end, or
where they are called.
"""

from collections.abc import Iterator, Mapping
from posixpath import dirname, join, normpath
from urllib.parse import unquote

from chainrule.data.tidying import tidied
from chainrule.data.web_pages import page_text
from chainrule.data.xml_events import attribute, follow, local
from chainrule.data.zip_archives import ZipArchive

RELATIONS, WORD_PARTS = "_rels/.rels", ("footnotes.xml", "endnotes.xml")
CONTAINER, LOCKED = "META-INF/container.xml", "META-INF/encryption.xml"
# Named the same in other zip archives of the same makers.
OTHERS = {
    "xl/workbook.xml": "is a spreadsheet (.xlsx); save it as .csv",
    "ppt/presentation.xml": "is a presentation (.pptx); export it as PDF",
}
PAGES = ("application/xhtml+xml", "text/html")


def packed_texts(content: bytes) -> Iterator[str]:
    """The whole text as one; raises ValueError for another archive, a damaged or locked one, or one without text."""
    archive = ZipArchive(content)
    kind = archive.read("mimetype").strip() if "mimetype" in archive.names else b""
    if CONTAINER in archive.names and not kind.startswith(b"application/vnd.oasis"):
        text = _book(archive)
    elif kind.startswith(b"application/vnd.oasis.opendocument.text"):
        text = _open_document(archive)
    elif any(name.startswith("word/") for name in archive.names):
        text = _word(archive)
    else:
        raise ValueError(
            next(
                (told for name, told in OTHERS.items() if name in archive.names),
                "is a zip archive, and no document in it: unpack it and give the folder",
            )
        )
    text = tidied(text)
    if not text:
        raise ValueError("has no text in it")
    yield text


class _Paragraphs:
    """Text by paragraphs: those of `within` alone, without what stands in one of `unseen`.

    A paragraph inside another (a text box, a footnote) comes before it.
    """

    def __init__(self, within: frozenset[str], unseen: frozenset[str], signs: Mapping[str, str]) -> None:
        self._within, self._unseen, self._signs = within, unseen, signs
        self._open = list[list[str]]()
        self._done = list[str]()
        self._cells = list[list[str]]()
        self._unseen_depth = self._text_depth = 0

    @property
    def text(self) -> str:
        """All of it, so far as it is told."""
        return "\n".join(self._done)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        name = local(tag)
        if self._unseen_depth or name in self._unseen:
            self._unseen_depth += 1
        elif name in ("p", "h"):
            self._open.append([])
        elif name in ("tr", "table-row"):
            self._cells.append([])
        elif name in self._signs and self._open:
            # LibreOffice counts blanks.
            n_times = attribute(attributes, "c") if name == "s" else ""
            self._open[-1].append(self._signs[name] * (min(int(n_times), 1000) if n_times.isdecimal() else 1))
        self._text_depth += name in self._within

    def data(self, text: str) -> None:
        """Text between two tags."""
        if self._open and self._text_depth and not self._unseen_depth:
            self._open[-1].append(text)

    def end(self, tag: str) -> None:
        """An element ends."""
        name = local(tag)
        self._text_depth -= name in self._within
        if self._unseen_depth:
            self._unseen_depth -= 1
        elif name in ("p", "h") and self._open:
            said = "".join(self._open.pop())
            (self._cells[-1] if self._cells else self._done).append(said)
        elif name in ("tr", "table-row") and self._cells:
            row = "\t".join(self._cells.pop())
            (self._cells[-1] if self._cells else self._done).append(row)

    def close(self) -> None:
        """All has been told."""


# "t" alone holds text; a formula's code, a field's instruction and deleted text have names of their own.
WORD = (
    frozenset({"t"}),
    frozenset({"Fallback", "del", "moveFrom", "pPr", "rPr", "sectPr", "tblPr", "trPr", "tcPr"}),
    {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"},
)
OPEN = (
    frozenset({"p", "h"}),
    frozenset({"tracked-changes", "annotation", "note-citation", "desc", "title", "forms"}),
    {"s": " ", "tab": "\t", "line-break": "\n"},
)


def _word(archive: ZipArchive) -> str:
    main = _main_part(archive)
    texts = []
    for name in (main, *(join(dirname(main), part) for part in WORD_PARTS)):
        if name == main or name in archive.names:
            paragraphs = _Paragraphs(*WORD)
            follow(archive.read(name), paragraphs, name)
            texts.append(paragraphs.text)
    return "\n\n".join(texts)


def _open_document(archive: ZipArchive) -> str:
    paragraphs = _Paragraphs(*OPEN)
    follow(archive.read("content.xml"), paragraphs, "content.xml")
    return paragraphs.text


class _Attributes:
    """The attributes of every element, by its name."""

    def __init__(self) -> None:
        self.found = list[tuple[str, Mapping[str, str]]]()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self.found.append((local(tag), dict(attributes)))

    def data(self, text: str) -> None:
        """Text between two tags."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def close(self) -> None:
        """All has been told."""

    @classmethod
    def of(cls, archive: ZipArchive, name: str) -> list[tuple[str, Mapping[str, str]]]:
        """Those of a file of the archive."""
        listed = cls()
        follow(archive.read(name), listed, name)
        return listed.found


def _main_part(archive: ZipArchive) -> str:
    """The part with the text: word/document.xml, but for a few programs."""
    if RELATIONS in archive.names:
        for tag, attributes in _Attributes.of(archive, RELATIONS):
            if tag == "Relationship" and attributes.get("Type", "").endswith("/officeDocument"):
                return attributes.get("Target", "").lstrip("/")
    return "word/document.xml"


def _book(archive: ZipArchive) -> str:
    """The chapters in reading order."""
    package = next(
        (
            attributes.get("full-path", "")
            for tag, attributes in _Attributes.of(archive, CONTAINER)
            if tag == "rootfile"
        ),
        "",
    )
    found = _Attributes.of(archive, package)
    items = {attributes.get("id"): attributes for tag, attributes in found if tag == "item"}
    spine = [items.get(attributes.get("idref")) for tag, attributes in found if tag == "itemref"]
    # Fonts are often scrambled in open books; pages only where they are locked.
    locked = set[str]()
    if LOCKED in archive.names:
        locked = {unquote(attributes.get("URI", "")) for _, attributes in _Attributes.of(archive, LOCKED)}
    texts = []
    for item in spine:
        if item is None or item.get("media-type") not in PAGES or "nav" in item.get("properties", "").split():
            continue
        name = normpath(join(dirname(package), unquote(item.get("href", ""))))
        if name in locked:
            raise ValueError("is locked against copying (DRM); its text cannot be read")
        if name in archive.names:
            texts.append(page_text(archive.read(name)))
    return "\n".join(texts)
