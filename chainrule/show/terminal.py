"""Text of unknown origin made safe for a terminal, and figures in the width that a panel has."""

from typing import Any

from chainrule.base import count_text, printable


def one_line(text: object, width: int) -> str:
    """`printable` text on one line of at most `width` characters: line breaks become ⏎, the end is cut with …"""
    line = printable(text).replace("\n", "⏎")
    return line if len(line) <= width else line[: max(0, width - 1)] + "…"


def number(value: Any, digits: int = 3) -> str:
    """`value` with `digits` decimals; a dash when it is missing."""
    return "–" if value is None else f"{value:.{digits}f}"


def rate(value: Any) -> str:
    """A learning rate: two significant digits, 0.004 as `4.0e-3`."""
    if value is None:
        return "–"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}" if value else "0"


def percent(share: Any) -> str:
    """A share as whole percent, or with one decimal below ten; a dash when it is missing."""
    if share is None:
        return "–"
    return f"{100 * share:.1f} %" if 0 < share < 0.0995 else f"{100 * share:.0f} %"


def count(value: Any) -> str:
    """`count_text`, or a dash when the count is missing."""
    return "–" if value is None else count_text(value)
