"""What a page has of a run, as one word that it brings along when it asks for more."""

import re
from dataclasses import dataclass

STREAM = r"_(\d{1,12})\.(\d{1,12})"
FORM = re.compile(rf"([0-9a-f]{{8}})_([01])_(\d{{1,12}}){3 * STREAM}")


@dataclass(frozen=True)
class Cursor:
    """Of which state of which server, whether all or the loss alone, and how much of the head and of each stream.

    A stream is known by its generation, which changes when it is thinned, and by how many of its entries are final.
    """

    epoch: str
    whole: bool
    head: int
    streams: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, word: str) -> "Cursor | None":
        """The cursor that a page brought; None for what is none."""
        match = FORM.fullmatch(word)
        if not match:
            return None
        epoch, whole, head, *rest = match.groups()
        numbers = [int(one) for one in rest]
        return cls(epoch, whole == "1", int(head), tuple(zip(numbers[::2], numbers[1::2], strict=True)))

    def __str__(self) -> str:
        streams = (f"{generation}.{count}" for generation, count in self.streams)
        return "_".join([self.epoch, str(int(self.whole)), str(self.head), *streams])
