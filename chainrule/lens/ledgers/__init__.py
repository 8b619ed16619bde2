"""The chain rule line by line, as data and as text."""

from chainrule.lens.ledgers.book import LeafRow, Ledger, LedgerRow, Meeting, Part, ledger, shown_names
from chainrule.lens.ledgers.cells import Cell, cell
from chainrule.lens.ledgers.coordinate import CoordinatePath, PathStep, Term, Use
from chainrule.lens.ledgers.facts import ledger_facts, path_facts
from chainrule.lens.ledgers.folding import Fold, fold
from chainrule.lens.ledgers.text import ledger_lines
from chainrule.lens.ledgers.text_path import path_lines

__all__ = [
    "Cell",
    "CoordinatePath",
    "Fold",
    "LeafRow",
    "Ledger",
    "LedgerRow",
    "Meeting",
    "Part",
    "PathStep",
    "Term",
    "Use",
    "cell",
    "fold",
    "ledger",
    "ledger_facts",
    "ledger_lines",
    "path_facts",
    "path_lines",
    "shown_names",
]
