"""What parts the documents inside one plain file: a line that the user names, or one that is recognised.

Recognised is only what nothing else is: a line that is one of the known end-of-text marks, form feeds between texts
that end as sentences do (and so are no pages), the messages of a mailbox, the days of a chat export, WikiText's titles.
What is recognised depends on the first LOOK_BYTES of the file alone.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePath
from re import Pattern

from chainrule.data.formats import CODE_SUFFIXES, CODECS, MARKUP_SUFFIXES

AUTO = "auto"
LOOK_BYTES = 1 << 20
MARKS = (
    *("<|endoftext|>", "<|end_of_text|>", "<|end_of_document|>", "<|endofdoc|>", "<|eot_id|>", "<|eos|>"),
    *(
        "<eos>",
        "<EOS>",
        "<eod>",
        "<EOD>",
        "</s>",
        "<|end\u2581of\u2581sentence|>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
    ),
    *("[EOS]", "[EOD]"),
)
# Blanks after a separator that still make it one; bounded, so that a line end is never searched for without end.
MOST_BLANKS = 16
# Prose may name a mark inside a line; where that is more than one in so many, its lines are not taken for separators.
MENTIONS = 1 / 10
# Between documents nearly each text ends as a sentence does and begins like one; of a book's pages one in six.
SENTENCES = 0.9
TEXTS_AT_LEAST = 3


@dataclass(frozen=True)
class Boundary:
    """What stands between two documents."""

    name: str
    """As a person is told."""
    line: Pattern[bytes]
    """Matches it from the beginning of a line to the end of that line."""
    most_bytes: int
    """No match is longer, nor what it looks at."""
    kept: bool = False
    """It belongs to the document that it begins."""
    by_key: bool = False
    """It parts documents only where its first group is another than before."""
    dropped: Pattern[bytes] | None = None
    """What is taken off wherever it stands in the documents."""

    @property
    def divisible(self) -> bool:
        """Reading may begin behind any match, without knowing what stood before."""
        return not self.kept and not self.by_key


@lru_cache(maxsize=64)
def separator_line(separator: str) -> Boundary:
    """Lines that hold the separator and nothing else."""
    mark = separator.encode()
    line = re.compile(rb"^%s[ \t\r]{0,%d}(?:\n|\Z)" % (re.escape(mark), MOST_BLANKS), re.MULTILINE)
    return Boundary(separator, line, len(mark) + MOST_BLANKS + 2)


def boundary_of(separator: str, name: str, head: Callable[[], bytes]) -> Boundary | None:
    """What parts the documents of a plain file of this name, whose first LOOK_BYTES `head` gives; None: it is one."""
    if separator != AUTO:
        return separator_line(separator) if separator else None
    path = PurePath(name)
    suffix = (PurePath(path.stem) if path.suffix.lower() in CODECS else path).suffix.lower()
    return None if suffix in CODE_SUFFIXES or suffix in MARKUP_SUFFIXES else recognised(head())


def recognised(head: bytes) -> Boundary | None:
    """The boundary that these first bytes of a file show beyond doubt."""
    return next((found for find in (_mailbox, _chat, _wikitext, _marks, _form_feeds) if (found := find(head))), None)


def _marks(head: bytes) -> Boundary | None:
    # A page on tokenizers shows marks in its examples.
    if not (ANY_MARK.search(head) and b"```" not in head):
        return None
    found = ((len(line_ends), mark) for mark in MARKS if (line_ends := separator_line(mark).line.findall(head)))
    count, mark = max(found, default=(0, ""))
    if not count or head.count(mark.encode()) - count > MENTIONS * count:
        return None
    return separator_line(mark)


ANY_MARK = re.compile(rb"\n(?:%s)" % b"|".join(re.escape(mark.encode()) for mark in MARKS))
FORM_FEEDS = Boundary("form feeds", re.compile(rb"\f[ \t\r]{0,%d}\n?" % MOST_BLANKS), MOST_BLANKS + 3)
SENTENCE_ENDS = (b".", b"!", b"?", b'"', b"'", b")", b"*", *(end.encode() for end in "…”’»«。！？।"))


def _form_feeds(head: bytes) -> Boundary | None:
    if b"\f" not in head:
        return None
    texts = head.split(b"\f")
    if len(head) >= LOOK_BYTES:
        texts.pop()
    texts = [text.strip() for text in texts if text.strip()]
    if len(texts) < TEXTS_AT_LEAST:
        return None
    whole = sum(text.endswith(SENTENCE_ENDS) and not text[:1].islower() for text in texts)
    return FORM_FEEDS if whole >= SENTENCES * len(texts) else None


# RFC 4155: "From ", the sender and a date as asctime writes it, then the header of the message.
MAILBOX = Boundary(
    "the messages of a mailbox",
    re.compile(rb"^From [^\n]{1,200}\d\d:\d\d[^\n]{0,60}\d{4}[^\n]{0,20}\n(?=[!-9;-~]{1,80}:)", re.MULTILINE),
    400,
    kept=True,
)


def _mailbox(head: bytes) -> Boundary | None:
    return MAILBOX if head.startswith(b"From ") and MAILBOX.line.match(head) else None


# As WhatsApp writes them: "31/12/2023, 22:15 - Name: text" or "[31.12.23, 22:15:03] Name: text", whatever the country.
DAY = rb"(\d{1,4}[./-]\d{1,2}[./-]\d{1,4})"
TIME = rb"\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:(?: |\xe2\x80\xaf|\xc2\xa0)[AaPp]\.? ?[Mm]\.?)?"
CHAT = Boundary(
    "the days of a chat",
    re.compile(
        rb"^(?:\xe2\x80\x8e)?(?:(?=\d)|\[(?=[^\n,]{6,10}, [^\n\]]{4,20}\]))%s,? %s(?:\]| -) [^\n:]{1,80}" % (DAY, TIME),
        re.MULTILINE,
    ),
    240,
    kept=True,
    by_key=True,
    # Who speaks stays; when, and the marks of writing direction, do not.
    dropped=re.compile(
        rb"^(?:\xe2\x80\x8e)?\[?%s,? %s(?:\]| -) (?=[^\n]{1,80}:)|\xe2\x80\x8e" % (DAY, TIME), re.MULTILINE
    ),
)
CHAT_LINES, CHAT_SHARE = 50, 0.5


def _chat(head: bytes) -> Boundary | None:
    # Cheap for all other files: their first line is none of a chat.
    if not CHAT.line.match(head.removeprefix(b"\xef\xbb\xbf")):
        return None
    lines = head.split(b"\n", CHAT_LINES)[:CHAT_LINES]
    said = sum(bool(CHAT.line.match(line)) and b": " in line for line in lines)
    return CHAT if said >= 2 and said >= CHAT_SHARE * len([line for line in lines if line.strip()]) else None


# " = Title = " between blank lines; sections have " = = Section = = ".
WIKITEXT = Boundary("WikiText's titles", re.compile(rb"^ ?= [^=\n]{1,200} = ?\n(?= ?\n)", re.MULTILINE), 220, kept=True)


def _wikitext(head: bytes) -> Boundary | None:
    title = head.lstrip(b" \r\n")[:2] == b"= "
    return WIKITEXT if title and b"\n = = " in head and WIKITEXT.line.search(head) else None
