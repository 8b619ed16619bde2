"""The text of a rich text file (.rtf). The only door to `striprtf` (extra `documents`)."""

from collections.abc import Iterator

from chainrule.base import MissingPackageError, bytes_text
from chainrule.data.tidying import tidied

MARK = b"{\\rtf"
# striprtf goes through it letter by letter.
MOST_BYTES = 64 << 20
# It keeps 90 bytes for each that is open; word processors write one in 100 letters.
MOST_GROUPS = 1_000_000


def rtf_texts(content: bytes) -> Iterator[str]:
    """The whole text as one; raises ValueError for what is no rich text, damaged, too long, or has no text."""
    try:
        from striprtf.striprtf import rtf_to_text
    except ImportError:
        raise MissingPackageError("reading rich text", "striprtf", "documents") from None
    if not content.lstrip().startswith(MARK):
        raise ValueError("is no rich text, whatever its name says")
    if len(content) > MOST_BYTES:
        raise ValueError(f"is rich text of more than {bytes_text(MOST_BYTES)}; save it as plain text")
    if (n_groups := content.count(b"{")) > MOST_GROUPS:
        raise ValueError(f"is rich text of {n_groups:,} braces; up to {MOST_GROUPS:,} are read; save it as plain text")
    try:
        # Bytes beyond ASCII stand as escapes in it; a stray one is taken as Western.
        text = tidied(rtf_to_text(content.decode("cp1252", "replace"), errors="replace"))
    # Numbers without end, code pages that nobody knows, braces without partners: whatever they make it raise.
    except Exception as fault:
        raise ValueError(f"is damaged rich text ({fault})") from fault
    if not text:
        raise ValueError("has no text in it")
    yield text
