"""Compressed data to a stream of what it unfolds into, by the name of its codec."""

import bz2
import gzip
import lzma
import zlib
from typing import BinaryIO

from chainrule.data.arrow import Readable, zstd_stream
from chainrule.data.long_zstd import HEADER_BYTES, ORDINARY_WINDOW, LongWindowStream, window_bytes

FAULTS = (EOFError, zlib.error, lzma.LZMAError, OSError)
"""What reading such a stream raises: EOFError or "truncated" where the data stops in its middle, else damage."""


def decompressed(codec: str, raw: BinaryIO) -> Readable:
    """The bytes that `raw` holds; `codec` is gzip, zstd, xz, bz2, or empty for `raw` itself."""
    if codec == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if codec == "bz2":
        return bz2.BZ2File(raw)
    if codec == "xz":
        return lzma.LZMAFile(raw)
    if codec == "zstd":
        header = raw.read(HEADER_BYTES)
        raw.seek(0)
        return LongWindowStream(raw) if window_bytes(header) > ORDINARY_WINDOW else zstd_stream(raw)
    return raw
