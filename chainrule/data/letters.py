"""The text of a message (.eml, or one of a mailbox): subject and what was written, no headers, no attachments."""

import email
import email.errors
import email.header
import re
from collections.abc import Iterator
from contextlib import suppress
from email.message import Message

from chainrule.data.tidying import decoded, tidied
from chainrule.data.web_pages import page_text

# Far more than any real message has: a part, and an encoded word of a subject, take Python's parser some 50 µs.
MOST_PARTS, MOST_HEADERS = 10_000, 50_000
LONGEST_SUBJECT = 1 << 16
BOUNDARY = re.compile(rb"""boundary\s*=\s*["']?([^\s"';]{1,70})""", re.IGNORECASE)


def letter_texts(content: bytes) -> Iterator[str]:
    """The message as one text; raises ValueError for what is no message, or has no text."""
    text = letter_text(content)
    if not text:
        raise ValueError("is no message with text")
    yield text


def letter_text(content: bytes) -> str:
    """Subject and body; empty when there is neither, or the bytes are no message.

    Of a message in plain text and HTML the plain text is taken. Raises ValueError for one that is nested without end
    or has more than MOST_PARTS parts or MOST_HEADERS lines of headers. A subject above LONGEST_SUBJECT stays encoded.
    """
    boundaries = set(BOUNDARY.findall(content))
    ends = (b"\n--%b%b" % (one, end) for one in boundaries for end in (b"\n", b"\r"))
    if len(boundaries) > MOST_PARTS or sum(map(content.count, ends)) > MOST_PARTS:
        raise ValueError(f"has more than {MOST_PARTS:,} parts")
    if re.split(rb"\n\r?\n", content, maxsplit=1)[0].count(b"\n") > MOST_HEADERS:
        raise ValueError(f"has more than {MOST_HEADERS:,} lines of headers")
    try:
        message = email.message_from_bytes(content)
        if not message.keys():
            return ""
        body = "\n\n".join(filter(None, _bodies(message)))
        subject = _subject(message)
    except RecursionError:
        raise ValueError("is a message inside a message, too often") from None
    return tidied(f"{subject}\n\n{body}")


def _subject(message: Message) -> str:
    whole = _as_text(next((str(value) for name, value in message.raw_items() if name.lower() == "subject"), ""))
    if len(whole) <= LONGEST_SUBJECT and "=?" in whole:
        with suppress(email.errors.HeaderParseError, LookupError, ValueError):
            whole = _decoded_words(whole)
    return re.sub(r"\s+", " ", whole).strip()


def _decoded_words(header: str) -> str:
    parts = email.header.decode_header(header)
    if header.isascii():
        return str(email.header.make_header(parts))
    # What stands between encoded words comes as bytes that make_header takes for ASCII.
    words = ((part, charset) if isinstance(part, bytes) else (part.encode(), "utf-8") for part, charset in parts)
    return "".join(part.decode(charset or "raw-unicode-escape") for part, charset in words)


def _as_text(raw: str) -> str:
    """A header that says in no way how its letters are encoded, as many programs write it; Python kept its bytes."""
    if raw.isascii():
        return raw
    content = raw.encode(errors="surrogateescape")
    try:
        return decoded(content)
    except ValueError:
        return content.decode(errors="replace")


def _bodies(part: Message) -> Iterator[str]:
    """What was written, part by part."""
    kind = part.get_content_type()
    parts = [one for one in _inner(part) if one.get_content_disposition() != "attachment"]
    if kind == "multipart/alternative":
        # The same in several ways, the plainest first.
        yield next((text for one in parts if (text := "\n\n".join(filter(None, _bodies(one))))), "")
    elif parts:
        for one in parts:
            yield from _bodies(one)
    elif kind in ("text/plain", "text/html") and not part.is_multipart():
        content, charset = _payload(part), part.get_content_charset()
        yield tidied(decoded(content, charset)) if kind == "text/plain" else page_text(content, charset)


def _inner(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [one for one in payload if isinstance(one, Message)] if isinstance(payload, list) else []


def _payload(part: Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
