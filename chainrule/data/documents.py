"""The documents of one listed file, in order, as pieces."""

from collections.abc import Iterator

from chainrule.base import MissingPackageError, bytes_text
from chainrule.config import TextConfig
from chainrule.data.changing import changed, changes
from chainrule.data.files import TextFile
from chainrule.data.formats import BINARY
from chainrule.data.mailboxes import mailbox_pieces
from chainrule.data.pieces import Piece
from chainrule.data.policy import DamagedFileError
from chainrule.data.rows import ROWS, row_documents
from chainrule.data.streams import WHOLE, ByteStream, Span, Unfolded, UnreadFileError, opened
from chainrule.data.text import row_pieces, text_pieces
from chainrule.data.whole_files import WHOLE_FILES

# Formats that are read whole need some times as much memory.
MOST_WHOLE = 256 << 20


def read_documents(
    file: TextFile, config: TextConfig, span: Span = WHOLE, unfolded: Unfolded | None = None
) -> Iterator[tuple[Piece, int]]:
    """Each piece with the bytes of the file that have been read by then, whatever `config.on_bad` says of it.

    They are changed already as the settings ask (changing.py). What can be mended is, and tells its place; what cannot
    be read is a bad piece, and the rest of a damaged file is one. BinaryFileError is raised before anything is given,
    when the content is not text, and DataError when the file is not what it was when it was listed. `span` is one that
    units.py has found; of a compressed file it lies in `unfolded`.
    """
    changing = changes(config)
    try:
        with opened(file, span, unfolded) as stream:
            if file.kind not in BINARY:
                stream.refuse_binary()
            for piece in _pieces(stream, config):
                yield (changed(piece, config) if changing else piece), stream.consumed
    except DamagedFileError as fault:
        yield Piece(b"", True, str(fault)), file.size


def _pieces(stream: ByteStream, config: TextConfig) -> Iterator[Piece]:
    kind = stream.file.kind
    if kind in ROWS:
        return row_documents(stream, config)
    if kind in WHOLE_FILES:
        return _whole(stream)
    if kind == "mbox":
        return mailbox_pieces(stream)
    return text_pieces(stream, config.separator)


def _whole(stream: ByteStream) -> Iterator[Piece]:
    content = stream.read(MOST_WHOLE + 1)
    if len(content) > MOST_WHOLE:
        raise UnreadFileError(
            stream, f"is longer than {bytes_text(MOST_WHOLE)}, and is read as a whole; save it as plain text"
        )
    # What is damaged is given up to there, and tells of it when more is asked for.
    stream.read(1)
    try:
        texts = list(WHOLE_FILES[stream.file.kind].texts(content))
    except (ValueError, MissingPackageError) as fault:
        raise UnreadFileError(stream, str(fault)) from fault
    for text in texts:
        yield from row_pieces(text, stream.name)
