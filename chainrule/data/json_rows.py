"""A .json file to its values: the elements of one array, one object, or objects one after the other.

An array is read element by element, so its file may be of any size; one object is parsed whole. Where one is long, its
end is looked for before more of it is held (json_ends.py).
"""

import codecs
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from chainrule.base import available_memory, bytes_text, parsed_bytes, refuse_parsed
from chainrule.data.json_ends import KINDS, EndFinder
from chainrule.data.lines import MOST_LINE_BYTES
from chainrule.data.policy import DamagedFileError
from chainrule.data.streams import ByteStream, opened

CHUNK_BYTES = 1 << 20
# So much of a value is held before its end is looked for: 1 GB without an end took 8.6 s and 2.8 GB.
HELD_BYTES = 16 << 20
# A chat program exports years of talk as one object. Read and parsed at once it takes some ten times its size.
SHARE_OF_MEMORY, MOST_VALUE_BYTES = 16, 1 << 30
# Where so many letters wait to be parsed, their brackets are counted before. Years of talk may take more memory than is
# given to settings, but no more than so many times their size; empty objects take forty times.
COUNTED_FROM, CROWDED, ENTRY_BYTES = 1 << 20, 8, 58
# A fault so near to the end of what was read may be that it ends there; "\\uXXXX" is the longest that is cut.
CUT_LETTERS = 16
BLANKS = " \t\r\n"


class Value(NamedTuple):
    """A value of the file and its number, from 1."""

    number: int
    content: Any


def json_values(stream: ByteStream) -> Iterator[Value]:
    """The values in order; raises DamagedFileError where the file is no JSON, or one value too large.

    Bytes that are no UTF-8 are lone surrogates in the values, as Python's surrogateescape makes them.
    """
    text = _Text(stream)
    inside = text.take("[")
    number = 0
    while not text.at_end() and not (inside and text.take("]")):
        number += 1
        if inside and number > 1 and not text.take(","):
            raise DamagedFileError(f"{stream.name}: value {number}: malformed JSON (no comma before it)")
        yield Value(number, text.value(number))
    if inside and not text.closed:
        raise DamagedFileError(f"{stream.name}: truncated: the array is not closed after value {number}")


def longest_value() -> int:
    """Bytes that one value may have: as a line of rows at least, and as much more as there is memory to parse it in."""
    return max(MOST_LINE_BYTES, min(MOST_VALUE_BYTES, available_memory() // SHARE_OF_MEMORY))


class _Text:
    """The decoded text of a stream from the place that has been reached on."""

    def __init__(self, stream: ByteStream) -> None:
        self.closed = False
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._json = json.JSONDecoder()
        self._buffer, self._at, self._ended = "", 0, False
        self._taken = 0
        """Bytes of the stream that were read."""

    def at_end(self) -> bool:
        """Whether only blanks are left; passes over those that are next."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in BLANKS:
                self._at += 1
            if self._at < len(self._buffer) or not self._read(CHUNK_BYTES):
                return self._at == len(self._buffer)

    def take(self, sign: str) -> bool:
        """Passes over the sign if it is next."""
        taken = not self.at_end() and self._buffer[self._at] == sign
        self._at += taken
        self.closed |= taken and sign == "]"
        return taken

    def value(self, number: int) -> Any:
        self.at_end()
        whole = False
        while True:
            start = self._at
            self._refuse_crowded(number)
            waiting = len(self._buffer) - start
            if not whole and waiting >= min(HELD_BYTES, longest_value()):
                self._read_rest(number)
                whole, start = True, self._at
            try:
                value, end = self._decoded()
            except RecursionError:
                raise self._fault(number, "nested too deeply") from None
            except ValueError as fault:
                # It may only be that more of it must be read; as much again keeps the work linear.
                if whole or self._is_final(fault) or not self._read(max(CHUNK_BYTES, waiting)):
                    raise self._fault(number, str(fault)) from None
                continue
            # A number at the end of what was read may go on.
            if end < len(self._buffer) or not self._read(max(CHUNK_BYTES, end - start)):
                self._at += end - start
                return value

    def _is_final(self, fault: ValueError) -> bool:
        """Whether it stays a fault whatever follows what was read."""
        if not isinstance(fault, json.JSONDecodeError) or fault.msg.startswith("Unterminated"):
            return False
        return fault.pos < len(self._buffer) - CUT_LETTERS

    def _read_rest(self, number: int) -> None:
        """Reads a long value to its end, when it has one and may be held; else raises DamagedFileError."""
        held = self._buffer[self._at :].encode(errors="surrogateescape")
        if held[:1] not in KINDS:
            raise self._fault(number, f"{bytes_text(len(held))} and more that are no object, array or text")
        n_bytes = self._bytes_to_its_end(number, held)
        if n_bytes > len(held):
            self._read(n_bytes - len(held) + CHUNK_BYTES)

    def _bytes_to_its_end(self, number: int, held: bytes) -> int:
        """The length of the value that begins with what is held; no more of it is held meanwhile."""
        finder, most, chunk = EndFinder(), longest_value(), held[:CHUNK_BYTES]
        seen = needed = 0
        with opened(self._stream.file) as ahead:
            for passed in range(0, self._taken, CHUNK_BYTES):
                ahead.read(min(CHUNK_BYTES, self._taken - passed))
            while chunk:
                text_alone = finder.inside and b'"' not in chunk
                end = finder.end(chunk)
                seen += len(chunk) if end is None else end
                needed += 0 if text_alone else parsed_bytes(chunk[:end])
                if seen > most:
                    why = f"longer than {bytes_text(most)}, a sixteenth of the free memory"
                    raise self._fault(number, f"{why}; give its parts as rows of a .jsonl file")
                if CROWDED * seen < needed:
                    self._refuse_needed(number, seen, needed)
                if end is not None:
                    return seen
                chunk = held[seen : seen + CHUNK_BYTES] or ahead.read(CHUNK_BYTES)
        raise self._fault(number, f"not closed in the {bytes_text(seen)} to the end of the file")

    def _refuse_crowded(self, number: int) -> None:
        """Raises DamagedFileError for a value that is brackets and commas, and hardly text."""
        waiting = len(self._buffer) - self._at
        signs = sum(self._buffer.count(sign, self._at) for sign in "{[,") if waiting > COUNTED_FROM else 0
        if CROWDED * waiting < ENTRY_BYTES * signs:
            held = self._buffer[self._at :].encode(errors="surrogateescape")
            self._refuse_needed(number, len(held), parsed_bytes(held))

    def _refuse_needed(self, number: int, n_bytes: int, needed: int) -> None:
        try:
            refuse_parsed(n_bytes, needed)
        except ValueError as fault:
            raise self._fault(number, str(fault)) from None

    def _decoded(self) -> tuple[Any, int]:
        try:
            return self._json.raw_decode(self._buffer, self._at)
        except json.JSONDecodeError:
            raise
        except ValueError:
            # Python makes no integer of more than 4,300 digits; as a word it does no harm beside the text.
            return json.JSONDecoder(parse_int=str).raw_decode(self._buffer, self._at)

    def _read(self, size: int) -> bool:
        """Appends more text; False at the end of the file."""
        if self._ended:
            return False
        more = self._stream.read(size)
        self._taken += len(more)
        self._ended = not more
        self._buffer = self._buffer[self._at :] + self._decoder.decode(more, final=self._ended)
        self._at = 0
        return bool(more)

    def _fault(self, number: int, what: str) -> DamagedFileError:
        return DamagedFileError(f"{self._stream.name}: value {number}: malformed JSON ({what})")
