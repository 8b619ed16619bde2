"""What settings ask to be changed in every document as it is read.

It follows from the piece alone, so that both passes over the text see the same.
"""

from chainrule.config import TextConfig
from chainrule.data.filters import c4_lines
from chainrule.data.pieces import Piece
from chainrule.data.private import masked


def changes(config: TextConfig) -> bool:
    """Whether anything is changed."""
    return "c4" in config.filters or config.pii == "mask"


def changed(piece: Piece, config: TextConfig) -> Piece:
    """The piece as it is trained on: without lines that C4 leaves out, and with addresses masked."""
    content, n_masked = piece.content, 0
    if "c4" in config.filters:
        content = c4_lines(content)
    if config.pii == "mask":
        content, n_masked = masked(content)
    return piece if content is piece.content else piece._replace(content=content, masked=n_masked)
