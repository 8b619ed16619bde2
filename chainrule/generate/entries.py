"""What a person types in a session of turns: one line, several that end in a backslash, or a block in triple quotes."""

from collections.abc import Callable
from dataclasses import dataclass

QUOTES = '"""'
FIRST, FURTHER = "> ", "… "


@dataclass(frozen=True)
class Entry:
    """A text that was typed; `literal` in triple quotes, where nothing is a command."""

    text: str
    literal: bool = False


def read_entry(read: Callable[[str], str | None]) -> Entry | None:
    r"""The next entry, None at the end of the input; `read` is given a prompt and returns a line without its "\n".

    A line that ends in a backslash goes on in the next. A line that begins with triple quotes begins a block, which
    ends with the line that ends in triple quotes. At the end of the input an entry is over, whatever is missing.
    """
    line = read(FIRST)
    if line is None:
        return None
    if line.startswith(QUOTES):
        return Entry(_block(line.removeprefix(QUOTES), read), literal=True)
    lines = [line]
    while lines[-1].endswith("\\"):
        lines[-1] = lines[-1].removesuffix("\\")
        if (line := read(FURTHER)) is None:
            break
        lines.append(line)
    return Entry("\n".join(lines))


def _block(first: str, read: Callable[[str], str | None]) -> str:
    lines = [first]
    while not lines[-1].rstrip().endswith(QUOTES):
        if (line := read(FURTHER)) is None:
            break
        lines.append(line)
    lines[-1] = lines[-1].rstrip().removesuffix(QUOTES)
    # Quotes that stand on lines of their own are no lines of the text.
    inside = lines[not lines[0] : len(lines) - (len(lines) > 1 and not lines[-1])]
    return "\n".join(inside)
