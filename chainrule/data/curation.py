"""Which documents are left out by a rule that the settings name: judged once, in the first pass over the text."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from chainrule.config import TextConfig
from chainrule.data.contamination import is_contaminated
from chainrule.data.filters import RULES, Look
from chainrule.data.languages import language_of
from chainrule.data.pieces import Piece, Removal

# Of a longer document the beginning is judged; only sets that must not be trained on are looked for in all of it.
JUDGED_BYTES = 1 << 20
QUOTED_BYTES = 160
CONTAMINATED, LANGUAGE = "decontaminate", "language"


def curates(config: TextConfig) -> bool:
    """Whether any document may be left out by a rule."""
    return bool(config.filters or config.languages or config.decontaminate)


def judged(pieces: Iterable[Piece], config: TextConfig, folder: Path, *, begins: bool = True) -> Iterator[Piece]:
    """The pieces of documents; those of one that is left out say why, from where that is known.

    `folder` has what was gathered of sets that must not be trained on. Without `begins` the first document is the
    middle of one, and only those sets are looked for.
    """
    head, removal, open_ = bytearray(), None, begins
    for piece in pieces:
        if open_:
            head += piece.content
        if config.decontaminate and not removal and is_contaminated(piece.content, config.decontaminate_words, folder):
            removal = CONTAINS_TEST._replace(begins=_quoted(head))
        if open_ and (piece.last or len(head) >= JUDGED_BYTES):
            open_ = False
            # What is empty is told as such.
            if head and not removal and piece.bad is None and (found := _judged(bytes(head[:JUDGED_BYTES]), config)):
                removal = found._replace(begins=_quoted(head))
        yield piece._replace(removal=removal) if removal else piece
        if piece.last:
            head, removal, open_ = bytearray(), None, True


CONTAINS_TEST = Removal(CONTAMINATED, "a run of words of text.decontaminate")


def _judged(content: bytes, config: TextConfig) -> Removal | None:
    if config.languages and (language := language_of(content)) not in config.languages:
        return Removal(f"{LANGUAGE}: {language or 'cannot be told'}", f"allowed {', '.join(config.languages)}")
    look = Look(content)
    return next((removal for name in config.filters if (removal := RULES[name](look))), None)


def _quoted(head: bytearray) -> str:
    """How the document begins, in one line."""
    return " ".join(bytes(head[:QUOTED_BYTES]).decode(errors="ignore").split())
