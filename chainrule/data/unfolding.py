"""The content of a large compressed file, handed out in ranges: it unfolds in one process, and others do all the rest.

Unfolding is cheap beside what is done with the text (one core, .jsonl, MB of text a second: gzip 233, Zstandard 510;
parsing and sketching 51, encoding 47), but it cannot begin in the middle. So one process unfolds and writes range after
range into small files, from which workers read as from plain files.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO

from chainrule.base import disk_faults, new_file, temporary_name
from chainrule.data.files import TextFile
from chainrule.data.policy import DamagedFileError
from chainrule.data.streams import ByteStream, Unfolded, opened

# Always as much at once, counted from the beginning: what a decompressor holds when it meets damage is lost, and that
# must be the same wherever reading begins to be of use.
FILLED_AT_ONCE = 1 << 16

Place = Callable[[int], Path]
"""The file for the range that begins at this byte of the content."""


class Unfolding:
    """The content from a place on, read forwards; places count through the whole content."""

    def __init__(self, stream: ByteStream, place: Place) -> None:
        self._stream, self._place = stream, place
        self._start = self._end = 0
        """What lies in the open file."""
        self._line, self._newlines = 1, 0
        self._file: IO[bytes] | None = None
        self._ended, self._fault = False, ""

    @property
    def size(self) -> int:
        """Where the content ends, once that is reached, else what of it is known."""
        return self._end

    def reaches(self, at: int) -> bool:
        """Whether there is a byte at this place."""
        self._fill(at + 1)
        return at < self._end

    def read(self, at: int, size: int) -> bytes:
        """At most so many bytes from a place that is not passed yet; fewer at the end."""
        self._fill(at + size)
        if self._file is None:
            return b""
        self._file.seek(at - self._start)
        return self._file.read(size)

    def pass_to(self, at: int) -> None:
        """Lets go of all before this place."""
        if at <= self._end:
            if at > self._start:
                Path(self.take(at).path).unlink()
            return
        self._line, self._newlines = self._line + self._newlines, 0
        self.close()
        part = b""
        while self._end < at and (part := self._next()):
            self._line, self._end = self._line + part.count(b"\n"), self._end + len(part)
        self._start = min(at, self._end)
        if rest := part[len(part) - (self._end - self._start) :]:
            self._line -= rest.count(b"\n")
            self._keep(rest)

    def take(self, end: int) -> Unfolded:
        """What is left before `end` (0: the rest), in a file that is now the caller's."""
        self._fill(end)
        while not end and self.reaches(self._end):
            pass
        file, path, first_line = self._opened(), self._place(self._start), self._line
        size = min(end or self._end, self._end) - self._start
        file.seek(size)
        rest = file.read()
        with disk_faults(path, "unfolding into"):
            file.truncate(size)
            file.close()
        self._line += self._newlines - rest.count(b"\n")
        self._start, self._file, self._newlines = self._start + size, None, 0
        if rest:
            self._keep(rest)
        last = not self.reaches(self._start)
        reached = self._stream.file.size if last else self._stream.consumed
        return Unfolded(str(path), size, reached, first_line, self._fault if last else "")

    def close(self) -> None:
        """Removes what was not taken."""
        if self._file is not None:
            self._file.close()
            self._place(self._start).unlink(missing_ok=True)
            self._file = None

    def _fill(self, to: int) -> None:
        while self._end < to and (part := self._next()):
            self._keep(part)
            self._end += len(part)

    def _next(self) -> bytes:
        if self._ended:
            return b""
        part = b""
        try:
            part = self._stream.read(FILLED_AT_ONCE)
        except DamagedFileError as fault:
            self._fault = str(fault)
        self._ended = not part
        return part

    def _keep(self, part: bytes) -> None:
        with disk_faults(self._place(self._start), "unfolding into"):
            file = self._opened()
            file.seek(0, 2)
            file.write(part)
        self._newlines += part.count(b"\n")

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            path = self._place(self._start)
            with disk_faults(path, "unfolding into"):
                self._file = new_file(path)
        return self._file


@contextmanager
def unfolding(file: TextFile, place: Place) -> Iterator[Unfolding]:
    """The content of the file from its beginning; raises DataError when it is not the file that was listed."""
    with opened(file) as stream:
        content = Unfolding(stream, place)
        try:
            yield content
        finally:
            content.close()


class Ranges:
    """Known ranges of compressed files, asked for in reading order, so that each file unfolds once."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stack, self._number = folder, ExitStack(), 0
        self._file: TextFile | None = None
        self._content: Unfolding | None = None

    def __enter__(self) -> "Ranges":
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, fault, at)

    def take(self, file: TextFile, start: int, end: int) -> Unfolded:
        """The content from `start` to `end` (0: to its end)."""
        if self._content is None or self._file != file:
            self._stack.close()
            self._number += 1
            # A name that is cleaned away with what else an interrupted preparation leaves.
            name = temporary_name(self._folder / f"unfolded-{self._number}-%d").name
            place = unfolding(file, lambda at: self._folder / (name % at))
            self._content, self._file = self._stack.enter_context(place), file
        self._content.pass_to(start)
        return self._content.take(end)
