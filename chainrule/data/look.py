"""A dry look at a text before it is prepared: what is there, what would be passed over, what is wrong at the front."""

from collections import Counter
from typing import Any

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data.documents import read_documents
from chainrule.data.files import Listing, TextFile, list_files

# A look takes seconds, whatever the size of the text.
MOST_OPENED, HEAD_BYTES, MOST_TOLD = 1000, 1 << 20, 50


def look_at_text(config: TextConfig) -> dict[str, Any]:
    """Figures and faults of the text, for which the beginnings of up to a thousand files, evenly spread, are read.

    Nothing is written. Raises DataError when a path gives no text at all.
    """
    listing = list_files(config.paths, "skip", config)
    n_files = len(listing.files)
    step = max(1, -(-n_files // MOST_OPENED))
    opened = listing.files[::step]
    told = [reason for file in opened if (reason := _fault(file, config))]
    return {
        "files": n_files,
        "bytes": sum(file.size for file in listing.files),
        "kinds": _kinds(listing),
        "skipped_by": dict(sorted(listing.ignored.items())),
        "left_out": listing.left_out[:MOST_TOLD],
        "found": told[:MOST_TOLD],
        "n_found": len(told),
        "looked_at": len(opened),
        "head_bytes": HEAD_BYTES,
    }


def _kinds(listing: Listing) -> dict[str, dict[str, int]]:
    files, sizes = Counter[str](), Counter[str]()
    for file in listing.files:
        kind = f"{file.kind} ({file.codec})" if file.codec else file.kind
        files[kind] += 1
        sizes[kind] += file.size
    return {kind: {"files": files[kind], "bytes": sizes[kind]} for kind in sorted(files)}


def _fault(file: TextFile, config: TextConfig) -> str | None:
    """What is wrong with the beginning of the file, in the words of a preparation; None when nothing is."""
    seen = 0
    try:
        for piece, _ in read_documents(file, config):
            reason = piece.bad or piece.mended
            if reason:
                return reason
            seen += len(piece.content)
            if seen >= HEAD_BYTES:
                break
    except DataError as fault:
        return str(fault)
    return None
