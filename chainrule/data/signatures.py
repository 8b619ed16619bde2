"""What the first bytes of a file say it is, whatever its name says."""

from chainrule.data.pdf_pages import MARK as PDF
from chainrule.data.rich_text import MARK as RICH_TEXT
from chainrule.data.separators import MAILBOX
from chainrule.data.web_pages import BEGINS as WEB_PAGE

ZIP = b"PK\x03\x04"
PACKED = ("docx", "odt", "epub")
DOCUMENTS = frozenset({"pdf", "rtf", "html", *PACKED})
# Of the letters of a text, so many can be seen or are blanks.
READABLE = 0.98
RENAME = "not text; end its name in {suffix} to have it read"
FORMATS = {
    PDF: f"a PDF, {RENAME.format(suffix='.pdf')}",
    RICH_TEXT: f"rich text, {RENAME.format(suffix='.rtf')}",
    ZIP: "a zip archive or a document packed as one, not text; end its name in .docx, .odt or .epub, or unpack it",
    b"\x1f\x8b": f"gzip data, {RENAME.format(suffix='.gz')}",
    b"\x28\xb5\x2f\xfd": f"zstd data, {RENAME.format(suffix='.zst')}",
    b"\xfd7zXZ\0": f"xz data, {RENAME.format(suffix='.xz')}",
    b"BZh9": f"bz2 data, {RENAME.format(suffix='.bz2')}",
    b"PAR1": f"a Parquet table, {RENAME.format(suffix='.parquet')}",
    b"\xd0\xcf\x11\xe0": "an old Office file (.doc, .xls, .ppt), not text; save it as .docx, or .csv",
    b"\x89PNG": "a picture (PNG), not text",
    b"\xff\xd8\xff": "a picture (JPEG), not text",
    b"GIF8": "a picture (GIF), not text",
    b"II*\0": "a picture (TIFF), not text",
    b"MM\0*": "a picture (TIFF), not text",
    b"SQLite format 3\0": "a database (SQLite), not text; export its text as .csv",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive, not text; unpack it and give the folder",
    b"Rar!": "a RAR archive, not text; unpack it and give the folder",
    b"ITSF": "a compiled help file (.chm), not text; unpack it and give the folder",
    b"\x7fELF": "a program, not text",
    b"ID3": "sound (MP3), not text",
    b"OggS": "sound (Ogg), not text",
}
ALL = tuple(FORMATS)
# Without a NUL among the first bytes: those with which no text begins.
BEYOND_DOUBT = (PDF, RICH_TEXT, *(mark for mark in FORMATS if not mark.isascii() or min(mark) < ord("\t")))


def kind_by_content(head: bytes, kind: str, *, is_known: bool = True) -> str:
    """How a file is read that begins so and would be read as `kind` by its name.

    A document is what its content says; so is a mailbox, unless its name is `is_known` for plain text.
    """
    if head.startswith(PDF):
        return "pdf"
    if head.startswith(ZIP):
        return kind if kind in PACKED else "docx"
    if head.startswith(RICH_TEXT):
        return "rtf"
    if WEB_PAGE.match(head.removeprefix(b"\xef\xbb\xbf")):
        return "html"
    if kind == "text" and not is_known and MAILBOX.line.match(head):
        return "mbox"
    return kind


def other_format(head: bytes, *, has_nul: bool) -> str | None:
    """What a file that should be text is instead, and what to do; None when its beginning shows nothing of the kind."""
    if not head.startswith(ALL if has_nul else BEYOND_DOUBT):
        return None
    return next(told for mark, told in FORMATS.items() if head.startswith(mark))


def looks_like_text(head: bytes) -> bool:
    """Whether these first bytes of a file are UTF-8 that can be read."""
    text = head.decode("utf-8", "ignore")
    readable = sum(letter.isprintable() or letter in "\t\n\r" for letter in text)
    # The last letter may be cut.
    return bool(text.strip()) and len(head) - len(text.encode()) < 4 and readable >= READABLE * len(text)
