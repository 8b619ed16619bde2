"""What `text.on_bad` does about documents that had to be mended or cannot be read; reading itself never asks it."""

import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NoReturn

from chainrule.base import DataError, disk_faults
from chainrule.data.pieces import Piece

OnBad = Literal["error", "skip", "replace"]
MEND = "mend it or convert it to UTF-8, or set text.on_bad to skip or replace"
LEAVE_OUT = "mend it or take it away, or set text.on_bad to skip"


# No matter of one file: what this process or the system has run out of, or a network folder that went away with all its
# files. Whoever went on would leave out one good file after another, as if each of them were bad.
OF_THE_SYSTEM = frozenset(
    getattr(errno, name)
    for name in ("EMFILE", "ENFILE", "ENOMEM", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ECONNABORTED")
    if hasattr(errno, name)
)


class DamagedFileError(DataError):
    """From here on nothing of a file can be read."""


def under_policy(pieces: Iterable[tuple[Piece, int]], on_bad: OnBad) -> Iterator[tuple[Piece, int]]:
    """The same pieces, each beside whatever number it came with, as the policy wants them.

    error: DataError at the first that was mended or is bad; skip: a document with a mended piece becomes a bad one;
    replace: mended pieces stay as they are, bad ones too.
    """
    reason: str | None = None
    for piece, beside in pieces:
        if on_bad == "error":
            refuse(piece)
        elif on_bad == "skip" and (reason := reason or piece.mended):
            if piece.last:
                yield Piece(b"", True, piece.bad or reason, max(piece.invalid, 1)), beside
                reason = None
            continue
        yield piece, beside


def refuse(piece: Piece) -> None:
    """Raises DataError when the piece had to be mended or is bad, with its place and what to do."""
    if piece.bad is not None:
        refuse_flaw("bad", piece.bad)
    if piece.mended is not None:
        refuse_flaw("mended", piece.mended)


def refuse_system_fault(path: str, fault: OSError) -> None:
    """Raises DiskError for a fault that concerns more than this file, whatever `on_bad` says."""
    if fault.errno in OF_THE_SYSTEM:
        with disk_faults(Path(path), "reading"):
            raise fault


def refuse_flaw(kind: str, reason: str) -> NoReturn:
    """Raises DataError for a document that is "bad" or "mended", with what to do."""
    raise DataError(f"{reason}; {LEAVE_OUT if kind == 'bad' else MEND}")
