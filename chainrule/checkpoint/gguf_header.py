"""The front part of a GGUF file: what it says of itself, and where each tensor lies.

The format is that of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3. Nothing that the file
says of sizes is believed: every count, length and place is compared with the file's own size before anything is made of
it, so a file that was cut or lies is refused with one sentence and costs no memory.
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.base import CheckpointError, disk_faults

MAGIC = b"GGUF"
VERSIONS = (2, 3)
LARGEST_DIMENSIONS = 4
ALIGNMENT = 32
# Numbers of the format's types of values (enum gguf_type), and how each is packed.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
# The shortest tensor: a name's length, no name, a number of dimensions, none, a kind and a place.
SHORTEST_TENSOR, SHORTEST_PAIR = 24, 13
# Entries of a list: the largest vocabularies have 262,144 tokens and about twice as many merges.
LONGEST_LIST = 2**22
# Texts in all lists together: each is an object, and 5 million empty ones took 4.4 s.
MOST_TEXTS = 2**21
# Models have some thousand tensors and some dozen words of metadata; each is an object here.
MOST_NAMED = 2**17


@dataclass(frozen=True)
class Kind:
    """A way of writing numbers (enum ggml_type): `block` numbers take `n_bytes`; 0 of what is not read here."""

    name: str
    block: int = 0
    n_bytes: int = 0


KINDS = {
    0: Kind("F32", 1, 4),
    1: Kind("F16", 1, 2),
    30: Kind("BF16", 1, 2),
    2: Kind("Q4_0", 32, 18),
    3: Kind("Q4_1", 32, 20),
    6: Kind("Q5_0", 32, 22),
    7: Kind("Q5_1", 32, 24),
    8: Kind("Q8_0", 32, 34),
    10: Kind("Q2_K", 256, 84),
    11: Kind("Q3_K", 256, 110),
    12: Kind("Q4_K", 256, 144),
    13: Kind("Q5_K", 256, 176),
    14: Kind("Q6_K", 256, 210),
    **{number: Kind(name) for number, name in {
        9: "Q8_1", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S",
        22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", 34: "TQ1_0",
        35: "TQ2_0", 39: "MXFP4",
    }.items()},
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where in the file a tensor lies, what its numbers are, and its shape with the rows first, as in torch."""

    kind: Kind
    shape: tuple[int, ...]
    start: int
    n_bytes: int


@dataclass(frozen=True)
class GgufHeader:
    """What a GGUF file says of itself (`metadata`), and its tensors by their names."""

    path: Path
    metadata: Mapping[str, Any]
    places: Mapping[str, Place]


def is_gguf(path: Path) -> bool:
    """Whether a file's name or its first bytes say that it is a GGUF."""
    if not path.is_file():
        return False
    with disk_faults(path, "reading"), path.open("rb") as stream:
        return path.suffix.lower() == ".gguf" or stream.read(len(MAGIC)) == MAGIC


def read_header(path: Path) -> GgufHeader:
    """The front part of a file; raises CheckpointError when it is no GGUF, is cut, or says what cannot be."""
    with disk_faults(path, "reading"), path.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise CheckpointError(f"{path} is no GGUF file: it does not begin with {MAGIC.decode()}")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            reader = _Reader(content, path)
            metadata, places = _read(reader)
    return GgufHeader(path, metadata, places)


def _read(reader: "_Reader") -> tuple[dict[str, Any], dict[str, Place]]:
    version = reader.number("I")
    if version not in VERSIONS:
        swapped = "; its bytes are in the other order (big-endian)" if version & 0xFFFF == 0 else ""
        raise reader.refusal(f"is of GGUF version {version}, and {VERSIONS[0]} and {VERSIONS[1]} are read{swapped}")
    n_tensors = reader.entries(SHORTEST_TENSOR, "tensors", MOST_NAMED)
    n_pairs = reader.entries(SHORTEST_PAIR, "entries of metadata", MOST_NAMED)
    metadata: dict[str, Any] = {}
    for _ in range(n_pairs):
        name = reader.text("the name of an entry")
        if name in metadata:
            raise reader.refusal(f"says {name!r} twice")
        metadata[name] = reader.value(reader.number("I"), name)
    told = {}
    for _ in range(n_tensors):
        name = reader.text("the name of a tensor")
        if name in told:
            raise reader.refusal(f"has two tensors called {name!r}")
        told[name] = _tensor(reader, name)
    alignment = metadata.get("general.alignment", ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
        raise reader.refusal(f"has general.alignment {alignment!r}; it must be a power of two")
    data = -(-reader.at // alignment) * alignment
    places = {name: Place(kind, shape, data + start, size) for name, (kind, shape, start, size) in told.items()}
    _check_places(reader, places, alignment)
    return metadata, places


def _tensor(reader: "_Reader", name: str) -> tuple[Kind, tuple[int, ...], int, int]:
    """Kind, shape, place within the data, and bytes."""
    n_dimensions = reader.number("I")
    if not 1 <= n_dimensions <= LARGEST_DIMENSIONS:
        raise reader.refusal(f"gives {name} {n_dimensions} dimensions; 1 to {LARGEST_DIMENSIONS} are possible")
    shape = tuple(reader.number("Q") for _ in range(n_dimensions))
    number = reader.number("I")
    start = reader.number("Q")
    kind = KINDS.get(number, Kind(f"of number {number}"))
    if not kind.block:
        known = ", ".join(one.name for one in KINDS.values() if one.block)
        raise reader.refusal(
            f"has {name} in the format {kind.name}, which is not read here; known: {known}. Take another quantisation "
            "of the same model (Q8_0 or Q4_K_M are usual)"
        )
    if not all(shape) or shape[0] % kind.block:
        raise reader.refusal(
            f"gives {name} the dimensions {list(shape)}; each must be at least 1, and the first a multiple of "
            f"{kind.block} in {kind.name}"
        )
    return kind, shape[::-1], start, math.prod(shape) // kind.block * kind.n_bytes


def _check_places(reader: "_Reader", places: Mapping[str, Place], alignment: int) -> None:
    """Raises CheckpointError unless each tensor lies whole in the file and upon no other."""
    end, before = 0, ""
    for name, place in sorted(places.items(), key=lambda item: item[1].start):
        if place.start % alignment:
            raise reader.refusal(f"puts {name} at byte {place.start}, which is no multiple of {alignment}")
        if place.start < end:
            raise reader.refusal(f"puts {name} and {before} upon one another")
        end, before = place.start + place.n_bytes, name
        if end > reader.size:
            raise reader.refusal(
                f"puts {name} at bytes {place.start:,} to {end:,}, and has {reader.size:,}; "
                "it was cut off, or is damaged"
            )


class _Reader:
    """Goes through the file's content; knows how much of it is left."""

    def __init__(self, content: mmap.mmap, path: Path) -> None:
        self._content, self._path = content, path
        self.size = len(content)
        self.at = len(MAGIC)
        self._n_texts = 0

    def refusal(self, what: str) -> CheckpointError:
        """The error that says what the file does wrong."""
        return CheckpointError(f"{self._path} {what}")

    def number(self, form: str) -> Any:
        """The next number of a form of struct's."""
        size = struct.calcsize(f"<{form}")
        self._has(size, "a number")
        (value,) = struct.unpack_from(f"<{form}", self._content, self.at)
        self.at += size
        return value

    def count(self, each: int, what: str) -> int:
        """How many things follow, of at least `each` bytes; the file must have room for them."""
        number: int = self.number("Q")
        self._has(number * each, f"{number:,} {what}")
        return number

    def entries(self, each: int, what: str, most: int = LONGEST_LIST) -> int:
        """The same for the entries of a list, which becomes larger in memory than it is in the file."""
        number = self.count(each, what)
        if number > most:
            raise self.refusal(f"has {number:,} {what}; lists of up to {most:,} are read")
        return number

    def text(self, what: str) -> str:
        """The next text, of which the length stands before it."""
        length = self.count(1, f"bytes of {what}")
        content = self._content[self.at : self.at + length]
        self.at += length
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise self.refusal(f"has {what} that is not UTF-8") from None

    def value(self, number: int, name: str) -> Any:
        """A value of the type of that number: a number, a text, or a list of either."""
        if number in SCALARS:
            return self.number(SCALARS[number])
        if number == STRING:
            return self.text(name)
        if number != ARRAY:
            raise self.refusal(f"gives {name} a value of type {number}, which the format has not")
        inner = self.number("I")
        if inner == STRING:
            count = self.entries(8, f"texts of {name}")
            self._n_texts += count
            if self._n_texts > MOST_TEXTS:
                raise self.refusal(
                    f"has {self._n_texts:,} texts in its lists up to {name}; up to {MOST_TEXTS:,} are read"
                )
            return [self.text(name) for _ in range(count)]
        if inner not in SCALARS:
            raise self.refusal(f"gives {name} a list of type {inner}, which is not read here")
        size = struct.calcsize(f"<{SCALARS[inner]}")
        count = self.entries(size, f"numbers of {name}")
        values = struct.unpack_from(f"<{count}{SCALARS[inner]}", self._content, self.at)
        self.at += count * size
        return list(values)

    def _has(self, n_bytes: int, what: str) -> None:
        if n_bytes > self.size - self.at:
            raise self.refusal(
                f"promises {what} at byte {self.at:,}, and has {self.size:,} bytes; it was cut off, or is damaged"
            )
