"""A file as a stream of decompressed bytes, with every way in which that can go wrong named.

Compressed files are judged as they unfold, never by the size that their header claims: output beyond RATIO times the
file's own size is refused as a bomb. A file that is not what it was when it was listed is refused by name.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import IO, BinaryIO, NamedTuple

from chainrule.base import DataError, bytes_text, disk_faults
from chainrule.data.decompression import FAULTS, decompressed
from chainrule.data.files import TextFile
from chainrule.data.folders import shown
from chainrule.data.formats import BINARY
from chainrule.data.legacy import COMMON, encoding_of
from chainrule.data.policy import DamagedFileError, refuse_system_fault
from chainrule.data.remote import is_remote, remote_open, remote_state
from chainrule.data.signatures import other_format
from chainrule.data.wide import WideText, marked_encoding, unmarked_order

# gzip reaches 1,032 on zeros, text rarely 20, a log of equal lines some 200.
RATIO = 250
RATIO_FROM = 8 << 20
# Where so much unfolded beyond the ratio, the rest is counted before more is worked on: hashing what a bomb of 400 KB
# begins with took 16 s of the processor, counting all of it 0.3 s.
STRETCH_BYTES = 1 << 20
MOST_OUTPUT = 1 << 42
HEAD_BYTES = 8192
# So much of a file that is UTF-8 but for a few places.
MOSTLY = 0.99
# A text takes a byte of its file and more; nulls and equal words take none, and 100 million of them an hour. Of equal
# lines 2 MB unfold out of the first block of a file, half a million rows that took 5.7 s.
FEW_ROWS = 1 << 16
# What a decompressor holds when it meets damage is lost; this much at a time costs 0.1 s a gigabyte in calls.
UNFOLDED_AT_ONCE = 1 << 15


class BinaryFileError(DataError):
    """The content is not text: passed over in a folder, refused where it was named."""

    counted_as = "binary"
    """How the file is counted where it is passed over."""


class UnreadFileError(BinaryFileError):
    """A document that cannot be read, or has no text."""

    def __init__(self, stream: "ByteStream", reason: str) -> None:
        super().__init__(f"{stream.name}: {reason}")
        self.counted_as = f"{PurePath(stream.file.path).suffix.lower() or 'file'} that cannot be read"


class Span(NamedTuple):
    """A range of a file that is not compressed: whole lines, documents, pieces of one, or row groups."""

    start: int = 0
    end: int = 0
    """0: to the end of the file."""
    first_line: int = 1
    """Number of the line that stands at `start`."""


WHOLE = Span()


def ends_file(file: TextFile, span: Span) -> bool:
    """Whether nothing of the file follows the span; one of a compressed file counts bytes of its content."""
    return not span.end or (not file.codec and span.end == file.size)


class Unfolded(NamedTuple):
    """Where the content of a span of a compressed file lies, for whoever reads it and then removes it."""

    path: str
    n_bytes: int
    reached: int
    """Bytes of the compressed file that had to be read for it, with all before."""
    first_line: int
    fault: str = ""
    """The damage that it ends with."""

    @contextmanager
    def once(self) -> Iterator[None]:
        """Removes it at the end."""
        try:
            yield
        finally:
            Path(self.path).unlink(missing_ok=True)


class ByteStream:
    """Reads exactly as many bytes as asked for, but at the end."""

    def __init__(self, file: TextFile, raw: BinaryIO, span: Span = WHOLE, unfolded: Unfolded | None = None) -> None:
        self.file, self.span = file, span
        self.ends_file = ends_file(file, span)
        self._unfolded_already, self._codec = unfolded, "" if unfolded else file.codec
        self._limit = span.start + unfolded.n_bytes if unfolded else (span.end or file.size)
        self.name = shown(file.path)
        self.raw = raw
        self.consumed = 0
        """Bytes of the file itself that have been read so far."""
        self._inner = _Range(raw, span) if span.end and not unfolded else decompressed(self._codec, raw)
        self._produced = 0
        self._stretch, self._counted = (0, 0), False
        self._fault: DamagedFileError | None = None
        self._wide: WideText | None = None
        self._told: str | None = None
        self._head = b""
        self._head = self.read(HEAD_BYTES)
        self._beginning = self._head
        if file.kind not in BINARY and not span.start and (encoding := marked_encoding(self._head)):
            self._wide, self._head = WideText(self._unfolded, self._head, encoding), b""
            self._head = self.read(HEAD_BYTES)

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end; raises DamagedFileError where the file is damaged or a bomb.

        What stands before the damage is given first, so that rows before it are not lost.
        """
        parts = [self._head[:size]] if self._head else []
        self._head = self._head[size:]
        missing = size - sum(map(len, parts))
        try:
            while missing and not self._fault and (part := self._next(missing)):
                parts.append(part)
                missing -= len(part)
        except DamagedFileError as fault:
            self._fault = fault
        if self._fault and not parts and size:
            raise self._fault
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end or before damage, which will be read again."""
        self._head = self.read(max(size, len(self._head)))
        return self._head[:size]

    def file_head(self, size: int) -> bytes:
        """The first `size` bytes of the content, wherever a span begins; to be called before anything is read."""
        if self._unfolded_already:
            with opened(self.file) as whole:
                return whole.peek(size)
        if not self.span.end:
            return self.peek(size)
        at = self.raw.tell()
        self.raw.seek(0)
        head = self.raw.read(size)
        self.raw.seek(at)
        return head

    @contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """The content as a file in which one can jump: the file itself, or a temporary copy of what it unfolds to."""
        if not self.file.codec:
            yield self.raw
            return
        with disk_faults(Path(tempfile.gettempdir()), "unfolding into"), tempfile.TemporaryFile() as copy:
            while part := self.read(1 << 20):
                copy.write(part)
            copy.seek(0)
            yield copy

    def refuse_binary(self) -> None:
        """Raises BinaryFileError when the first 8 KiB hold a NUL byte, as no text does, or are another format's.

        DamagedFileError when they are text all the same, UTF-16 without the mark that would say so.
        """
        if self.span.start:
            return
        place = self._head.find(0)
        if told := other_format(self._head, has_nul=place >= 0):
            raise BinaryFileError(f"{self.name}: is {told}" + (f" (byte {place} is NUL)" if place >= 0 else ""))
        if place < 0:
            return
        if order := unmarked_order(self._head):
            raise DamagedFileError(
                f"{self.name}: looks like UTF-16{order} without its mark (byte {place} is NUL); "
                f"convert it: iconv -f UTF-16{order} -t UTF-8"
            )
        raise BinaryFileError(f"{self.name}: is binary, not text (byte {place} is NUL); give text, or leave it out")

    def told_encoding(self, content: bytes) -> str:
        """What to say of bytes of the file that are no UTF-8: their encoding, as the file's beginning shows it too."""
        if self._told is None:
            shown_by = content if len(content) > len(self._beginning) else self._beginning + content
            found = encoding_of(shown_by) or encoding_of(content)
            as_utf_8 = len(self._beginning.decode(errors="ignore").encode()) >= MOSTLY * len(self._beginning)
            self._told = (
                f"; it reads as {COMMON.get(found, found)}: iconv -f {found} -t UTF-8"
                if found
                else ("" if as_utf_8 else "; in which encoding it is cannot be told")
            )
        return self._told

    def _next(self, size: int) -> bytes:
        return self._wide.read(size) if self._wide else self._unfolded(size)

    def _unfolded(self, size: int) -> bytes:
        # A small file is read by one call: most of a million of them is what the system charges for each.
        if not self._codec and self.span.start + self._produced >= self._limit:
            if self._unfolded_already and self._unfolded_already.fault:
                raise DamagedFileError(self._unfolded_already.fault)
            return b""
        try:
            part = self._inner.read(min(size, UNFOLDED_AT_ONCE) if self._codec else size)
        except EOFError as fault:
            raise self._truncated() from fault
        except FAULTS as fault:
            if "runcated" in str(fault):
                raise self._truncated() from fault
            if isinstance(fault, OSError):
                refuse_system_fault(self.file.path, fault)
            what = "unreadable" if getattr(fault, "errno", None) else f"damaged .{self.file.codec} data"
            raise DamagedFileError(f"{self.name}: {what} near byte {self.consumed}: {fault}") from fault
        self._produced += len(part)
        self.consumed = self.raw.tell() if self._codec else self.span.start + self._produced
        if self._codec:
            self.refuse_bomb(self._produced)
            self._look_ahead()
        return part

    def _look_ahead(self) -> None:
        """Counts all that the file unfolds into, once, when a stretch of it unfolds as far as a bomb does."""
        produced, consumed = self._produced - self._stretch[0], self.consumed - self._stretch[1]
        if self._counted or produced < STRETCH_BYTES:
            return
        self._stretch = self._produced, self.consumed
        if produced <= RATIO * consumed:
            return
        self._counted, total = True, 0
        # Damage is told where it is met by who reads.
        with raw_file(self.file.path) as raw, suppress(*FAULTS):
            content = decompressed(self._codec, raw)
            while part := content.read(UNFOLDED_AT_ONCE):
                total += len(part)
                self.refuse_bomb(total)

    def _truncated(self) -> DamagedFileError:
        return DamagedFileError(
            f"{self.name}: truncated at byte {self.file.size}: the {self.file.codec} data stops in the middle, "
            f"after {bytes_text(self._produced)} of text; copy or download it again"
        )

    def refuse_bomb(self, produced: int) -> None:
        """Raises DamagedFileError when so many unfolded bytes are too many for the size of the file."""
        most = min(MOST_OUTPUT, max(RATIO_FROM, RATIO * self.file.size))
        if produced > most:
            raise DamagedFileError(
                f"{self.name}: {bytes_text(self.file.size)} unfold into more than {bytes_text(most)} "
                f"(over {RATIO} times): this looks like a compression bomb; decompress it yourself if it is meant"
            )

    def refuse_rows(self, n_rows: int, called: str = "rows") -> None:
        """Raises DamagedFileError when there are more rows, or lines, than the file has bytes."""
        if n_rows > max(FEW_ROWS, self.file.size):
            raise DamagedFileError(
                f"{self.name}: {bytes_text(self.file.size)} hold {n_rows:,} {called}, more than one for each byte: "
                "this looks like a compression bomb; save the text as .jsonl without compression if it is meant"
            )


class _Range:
    """The bytes of a span."""

    def __init__(self, raw: BinaryIO, span: Span) -> None:
        raw.seek(span.start)
        self._raw, self._left = raw, span.end - span.start

    def read(self, size: int, /) -> bytes:
        part = self._raw.read(min(size, self._left))
        self._left -= len(part)
        return part


@contextmanager
def opened(file: TextFile, span: Span = WHOLE, unfolded: Unfolded | None = None) -> Iterator[ByteStream]:
    """The file's bytes; raises DataError when it is unreadable or not the file that was listed, before or after.

    DamagedFileError when that is found before anything of it was read: then it can be left out as a whole. With
    `unfolded` they lie there; whoever unfolds the file looks whether it changes.
    """
    if unfolded:
        with disk_faults(Path(unfolded.path), "reading"), Path(unfolded.path).open("rb") as content:
            yield ByteStream(file, content, span, unfolded)
        return
    refused = DataError if span.end else DamagedFileError
    try:
        # Unbuffered where all reads are large.
        raw = raw_file(file.path, 0 if file.kind == "text" and not file.codec else -1)
    except OSError as fault:
        refuse_system_fault(file.path, fault)
        raise refused(f"{shown(file.path)}: is unreadable: {fault.strerror}") from fault
    with raw:
        _refuse_changed(file, raw, refused)
        yield ByteStream(file, raw, span)
        _refuse_changed(file, raw, DataError)


def raw_file(path: str, buffering: int = -1) -> BinaryIO:
    """The bytes of a file, here or in a remote place; raises OSError where it cannot be opened."""
    if is_remote(path):
        return remote_open(path)
    # A Path for each of a million files takes longer than the call.
    return open(path, "rb", buffering)  # noqa: PTH123 (whoever asked closes it)


def _refuse_changed(file: TextFile, raw: BinaryIO, refused: type[DataError]) -> None:
    if is_remote(file.path):
        size, mtime_ns = remote_state(file.path)
    else:
        now = os.fstat(raw.fileno())
        size, mtime_ns = now.st_size, now.st_mtime_ns
    if (size, mtime_ns) != (file.size, file.mtime_ns):
        raise refused(
            f"{shown(file.path)}: changed while it was being prepared ({file.size} bytes before, {size} now); "
            "let the writer finish, or prepare a copy"
        )
