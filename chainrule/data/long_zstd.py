"""The one door to zstandard: Zstandard data with long windows (`zstd --long=28` to 31), which pyarrow refuses.

Reddit's dumps and The Pile are such. A window is memory: it fills with text as the file is read, up to what its frame
says, at most 2 GiB (81 MB of text, with a window of 2 GiB: 104 MiB measured).
"""

import io
from typing import IO

import zstandard

# What pyarrow reads: zstd's own default limit.
ORDINARY_WINDOW = 1 << 27
MOST_WINDOW = 1 << 31
HEADER_BYTES = 18
# Each block of at least 3 bytes unfolds into at most 128 KiB, so that so much input makes at most 87 MiB at once.
INPUT_BYTES = 2 << 10


def window_bytes(header: bytes) -> int:
    """The window that the frame which begins with these bytes needs; 0 when it is none that is known."""
    try:
        found = zstandard.get_frame_parameters(header)
    except zstandard.ZstdError:
        return 0
    return int(found.window_size)


class LongWindowStream:
    """The decompressed bytes of `raw`, frame after frame; EOFError when the last one stops in its middle.

    Raises OSError on damaged data.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW)
        self._frame = self._decompressor.decompressobj()
        self._begun = False
        self._input, self._output = b"", io.BytesIO()

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        while not (part := self._output.read(size)):
            self._input = self._input or self._raw.read(INPUT_BYTES)
            if not self._input:
                if self._begun:
                    raise EOFError("the frame is not complete")
                return b""
            self._unfold()
        return part

    def _unfold(self) -> None:
        self._begun = True
        try:
            self._output = io.BytesIO(self._frame.decompress(self._input))
        except zstandard.ZstdError as fault:
            raise OSError(str(fault)) from fault
        self._input = self._frame.unused_data if self._frame.eof else b""
        if self._frame.eof:
            self._frame, self._begun = self._decompressor.decompressobj(), False
