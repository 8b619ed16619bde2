"""A long ledger by module: neighbouring operations of one module become one line with totals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from chainrule.base import LensError, nearest
from chainrule.lens.ledgers.book import Ledger, LedgerRow
from chainrule.lens.ledgers.cells import Cell

FITS = 40


@dataclass(frozen=True)
class Fold:
    """Operations that follow each other in one module.

    `incoming` are the gradients that came in from outside, by value; `weights` what its parameters received here;
    `outgoing` what left for other values; each contribution is (value, cell). `n_meetings` counts the sums inside.
    """

    module: str
    rows: tuple[LedgerRow, ...]
    incoming: tuple[tuple[int, Cell], ...]
    weights: tuple[tuple[int, Cell], ...]
    outgoing: tuple[tuple[int, Cell], ...]
    n_meetings: int


def select(ledger: Ledger, module: str) -> tuple[LedgerRow, ...]:
    """The rows of a module and of those below it; raises LensError with the nearest name when there is none."""
    rows = tuple(row for row in ledger.rows if within(row.module, module))
    if not rows:
        known = sorted({path for row in ledger.rows for path in _ancestors(row.module)} - {""})
        raise LensError(f"{ledger.tape.target} has no operations in a module {module!r}.{nearest(module, known)}")
    return rows


def within(path: str, module: str) -> bool:
    """Whether a module's path is `module` or below it; everything is below the empty path."""
    return not module or path == module or path.startswith(f"{module}.")


def fold(ledger: Ledger, rows: Sequence[LedgerRow], depth: int) -> tuple[Fold, ...]:
    """The rows in groups of modules `depth` levels deep; the number of a list's element belongs to its list's name."""
    groups = [tuple(group) for _, group in groupby(rows, key=lambda row: ancestor(row.module, depth))]
    return tuple(_fold(ledger, ancestor(group[0].module, depth), group) for group in groups)


def fitting_depth(rows: Sequence[LedgerRow], limit: int = FITS) -> int:
    """The greatest depth at which the rows fold to at most `limit` lines, at least 1; 0 when they fit as they are."""
    if len(rows) <= limit:
        return 0
    deepest = max(len(levels(row.module)) for row in rows)
    counts = {
        depth: len(list(groupby(rows, key=lambda row: ancestor(row.module, depth)))) for depth in range(1, deepest + 1)
    }
    return max((depth for depth, count in counts.items() if count <= limit), default=1)


def levels(path: str) -> list[str]:
    """The levels of a module's path: `blocks.0.attention` has two, `blocks.0` and `attention`."""
    found: list[str] = []
    for part in path.split(".") if path else []:
        if part.isdigit() and found:
            found[-1] += f".{part}"
        else:
            found.append(part)
    return found


def ancestor(path: str, depth: int) -> str:
    """The module `depth` levels deep that the path lies in."""
    return ".".join(levels(path)[:depth])


def total_norm(cells: Iterable[Cell]) -> float:
    """The norm of all of them as one vector."""
    return math.sqrt(sum(cell.norm**2 for cell in cells))


def _ancestors(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _fold(ledger: Ledger, module: str, rows: tuple[LedgerRow, ...]) -> Fold:
    tape = ledger.tape
    nodes = {row.node for row in rows}
    inner = {part.value for row in rows for part in row.parts if tape.values[part.value].producer in nodes}
    incoming = [
        (tape.nodes[row.node].outputs[0], row.incoming)
        for row in rows
        if row.incoming is not None and not inner.intersection(tape.nodes[row.node].outputs)
    ]
    leaving = [
        (part.value, part.outgoing)
        for row in rows
        for part in row.parts
        if tape.values[part.value].producer not in nodes
    ]
    weights = [(value, cell) for value, cell in leaving if tape.values[value].role == "parameter"]
    outgoing = [(value, cell) for value, cell in leaving if tape.values[value].role != "parameter"]
    return Fold(module, rows, tuple(incoming), tuple(weights), tuple(outgoing), sum(len(row.meetings) for row in rows))
