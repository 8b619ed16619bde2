"""Letters that act instead of being read: what a terminal obeys, what turns the direction of text or hides it."""

import unicodedata
from collections.abc import Callable

# Control and format characters could move the cursor, hide text or reverse its direction; the others have no picture.
ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: object) -> str:
    """`text` with tabs as four blanks and every control, format or unassigned character as a middle dot."""
    plain = str(text).replace("\r\n", "\n").replace("\t", "    ")
    return with_letters_told(plain, lambda letter: "·")


def with_letters_told(text: str, told: Callable[[str], str]) -> str:
    """`text` with `told(letter)` in the place of every letter that acts; line breaks stay."""
    # isprintable is False for all of them (and for rare blanks): nearly every line is passed in one call.
    lines = text.split("\n")
    return "\n".join(
        line if line.isprintable() else "".join(told(c) if unicodedata.category(c) in ACTING else c for c in line)
        for line in lines
    )


MOST_LINE, BEGINNING, END = 2000, 1500, 400


def short_lines(text: str) -> str:
    """The text with the middle taken out of each line of more than 2,000 letters: what was given may be a file."""
    return "\n".join(
        line
        if len(line) <= MOST_LINE
        else f"{line[:BEGINNING]} … ({len(line) - BEGINNING - END:,} letters) … {line[-END:]}"
        for line in text.split("\n")
    )


def json_escape(letter: str) -> str:
    r"""The letter as JSON escapes it: \u009b, or two halves beyond the first 65,536."""
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
