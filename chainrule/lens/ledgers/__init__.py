"""The chain rule line by line, as data and as text."""

from chainrule.lens.ledgers.book import Ledger, LedgerRow, Meeting, Part, ledger, shown_names
from chainrule.lens.ledgers.cells import Cell
from chainrule.lens.ledgers.coordinate import CoordinatePath, PathStep, Term, parse_coordinate
from chainrule.lens.ledgers.facts import ledger_facts, path_facts
from chainrule.lens.ledgers.folding import Fold
from chainrule.lens.ledgers.text import ledger_lines
from chainrule.lens.ledgers.text_path import path_lines
from chainrule.lens.ledgers.token_look import (
    Depth,
    TokenLook,
    look_at_token,
    subject_of_token,
    token_facts,
    token_lines,
)

__all__ = [
    "Cell",
    "CoordinatePath",
    "Depth",
    "Fold",
    "Ledger",
    "LedgerRow",
    "Meeting",
    "Part",
    "PathStep",
    "Term",
    "TokenLook",
    "ledger",
    "ledger_facts",
    "ledger_lines",
    "look_at_token",
    "parse_coordinate",
    "path_facts",
    "path_lines",
    "shown_names",
    "subject_of_token",
    "token_facts",
    "token_lines",
]
