"""The documents of one listed file, in order, as pieces."""

from collections.abc import Callable, Iterator

from chainrule.config import TextConfig
from chainrule.data.files import TextFile
from chainrule.data.king_james import chapter_texts
from chainrule.data.pieces import Piece
from chainrule.data.policy import DamagedFileError
from chainrule.data.rows import ROWS, row_documents
from chainrule.data.standard_library import topic_texts
from chainrule.data.streams import WHOLE, ByteStream, Span, Unfolded, opened
from chainrule.data.text import row_pieces, text_pieces

# Modules of literals that hold texts.
TEXTS_OF: dict[str, Callable[[bytes], Iterator[str]]] = {"topics": topic_texts, "chapters": chapter_texts}


def read_documents(
    file: TextFile, config: TextConfig, span: Span = WHOLE, unfolded: Unfolded | None = None
) -> Iterator[tuple[Piece, int]]:
    """Each piece with the bytes of the file that have been read by then, whatever `config.on_bad` says of it.

    What can be mended is, and tells its place; what cannot be read is a bad piece, and the rest of a damaged file is
    one. BinaryFileError is raised before anything is given, when the content is not text, and DataError when the file
    is not what it was when it was listed. `span` is one that units.py has found; of a compressed file it lies in
    `unfolded`.
    """
    try:
        with opened(file, span, unfolded) as stream:
            if file.kind != "parquet":
                stream.refuse_binary()
            for piece in _pieces(stream, config):
                yield piece, stream.consumed
    except DamagedFileError as fault:
        yield Piece(b"", True, str(fault)), file.size


def _pieces(stream: ByteStream, config: TextConfig) -> Iterator[Piece]:
    kind = stream.file.kind
    if kind in ROWS:
        return row_documents(stream, config)
    if kind in TEXTS_OF:
        return _literals(stream)
    return text_pieces(stream, config.separator)


def _literals(stream: ByteStream) -> Iterator[Piece]:
    source = b"".join(iter(lambda: stream.read(1 << 20), b""))
    for text in TEXTS_OF[stream.file.kind](source):
        yield from row_pieces(text, stream.name)
