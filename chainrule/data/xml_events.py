"""XML as a sequence of beginnings, texts and ends, without a tree. The only door to `defusedxml` (extra `documents`).

defusedxml refuses what XML has against its readers: entities that grow without end, and files and addresses that they
name. It lies on Python's own parser.
"""

from collections.abc import Mapping
from typing import Protocol
from xml.etree.ElementTree import ParseError

from chainrule.base import MissingPackageError

# Documents need a few dozen. Each open element is kept: 5 million of them took 650 MB.
DEEPEST = 100_000
# The parser keeps all of an element's until its tag ends: a million took 630 MB. Documents have some dozen; text of so
# many letters without a tag hardly has as many signs of equality.
FEW_BYTES, MOST_ATTRIBUTES = 1 << 18, 20_000


class Target(Protocol):
    """What is told of each element; names stand as {namespace}name."""

    def start(self, tag: str, attributes: Mapping[str, str], /) -> None:
        """An element begins."""

    def data(self, text: str, /) -> None:
        """Text inside the last element that began and has not ended."""

    def end(self, tag: str, /) -> None:
        """An element ends."""

    def close(self) -> None:
        """All has been told."""


def follow(content: bytes, target: Target, name: str) -> None:
    """Tells `target` of all elements; raises ValueError, naming the part, for what is no XML or attacks its reader."""
    try:
        from defusedxml.common import DefusedXmlException
        from defusedxml.ElementTree import DefusedXMLParser
    except ImportError:
        raise MissingPackageError("reading a document", "defusedxml", "documents") from None
    if any(len(part) > FEW_BYTES and part.count(b"=") > MOST_ATTRIBUTES for part in content.split(b"<")):
        raise ValueError(f"has an element of more than {MOST_ATTRIBUTES:,} attributes in {name}")
    try:
        parser = DefusedXMLParser(target=_Bounded(target), forbid_dtd=False, forbid_entities=True, forbid_external=True)
        parser.feed(content)
        parser.close()
    except DefusedXmlException as fault:
        raise ValueError(f"declares entities in {name}, as no honest document does ({type(fault).__name__})") from None
    except (ParseError, ValueError, LookupError) as fault:
        raise ValueError(f"is damaged in {name} ({fault})") from None


class _Bounded:
    """Hands everything on, and refuses what is nested without end."""

    def __init__(self, target: Target) -> None:
        self.data, self.close = target.data, target.close
        self._start, self._end, self._depth = target.start, target.end, 0

    def start(self, tag: str, attributes: Mapping[str, str], /) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ValueError(f"nested deeper than {DEEPEST:,} elements")
        self._start(tag, attributes)

    def end(self, tag: str, /) -> None:
        self._depth -= 1
        self._end(tag)


def local(tag: str) -> str:
    """The name without its namespace."""
    return tag.rpartition("}")[2]


def attribute(attributes: Mapping[str, str], name: str) -> str:
    """The attribute of that name in any namespace; empty when there is none."""
    return next((value for key, value in attributes.items() if local(key) == name), "")
