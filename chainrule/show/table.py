"""Numbers, tensors and tables in the columns of a terminal; wide letters count as two."""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from rich.cells import cell_len, set_cell_size

WIDTH = 100
GAP = "  "
INDENT = "  "


def number_text(number: float) -> str:
    """Six decimals where they say enough, else the power of ten."""
    return f"{number:.6f}" if number == 0 or 1e-3 <= abs(number) < 1e5 else f"{number:.4e}"


def shape_text(shape: Sequence[int]) -> str:
    """2×3 for the shape [2, 3]; a scalar has none."""
    return "×".join(map(str, shape))


def cut(text: str, width: int) -> str:
    """The text in `width` columns at most, with … at the end where something is missing."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def padded(text: str, width: int, *, to_the_right: bool = False) -> str:
    """The text in exactly `width` columns."""
    text = cut(text, width)
    return " " * (width - cell_len(text)) + text if to_the_right else set_cell_size(text, width)


def table_lines(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    width: int = WIDTH,
    *,
    shrink: Sequence[str] = (),
    right: Sequence[str] = (),
    flow: Sequence[str] = (),
) -> list[str]:
    """Columns under their heads, those in `right` to the right.

    Where they are too wide together, the widest of those named in `shrink` gives way, down to its head, and what does
    not fit goes on below; a column in `flow` uses rows for that whose first cell and own cell are empty.
    """
    left: dict[str, list[str]] = {}
    # A name with a line break in it makes no row of its own.
    content = [[cell.replace("\n", "⏎") for cell in row] for row in (heads, *rows)]
    widths = {head: max(cell_len(row[at]) for row in content) for at, head in enumerate(heads)}
    while sum(widths.values()) + len(GAP) * (len(heads) - 1) > width:
        widest = max(shrink, key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= len(widest):
            break
        widths[widest] -= 1
    lines: list[str] = []
    for row, after in zip(content, [*content[1:], None], strict=True):
        cells = [left.pop(head, []) + wrapped(text, widths[head]) for text, head in zip(row, heads, strict=True)]
        cells = [[line for line in cell if line] for cell in cells]
        height = max((len(cell) for cell, head in zip(cells, heads, strict=True) if head not in flow), default=0) or 1
        for at, head in enumerate(heads):
            if head in flow and after is not None and not after[0] and not after[at]:
                left[head] = cells[at][height:]
                del cells[at][height:]
        for texts in zip_longest(*cells, fillvalue=""):
            line = (
                padded(text, widths[head], to_the_right=head in right) for text, head in zip(texts, heads, strict=True)
            )
            lines.append(GAP.join(line).rstrip())
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` columns, broken between words where that is possible."""
    lines, rest = [], text
    while cell_len(rest) > width:
        n_letters = next(n for n in range(len(rest), 0, -1) if cell_len(rest[:n]) <= width or n == 1)
        places = rest.rfind(" ", len(INDENT), n_letters + 1), rest.rfind("(", 0, n_letters) + 1
        end = next((place for place in places if place > n_letters // 3), n_letters)
        lines.append(rest[:end])
        rest = INDENT + rest[end:].lstrip() if width > 2 * len(INDENT) else rest[end:]
    return [*lines, rest]
