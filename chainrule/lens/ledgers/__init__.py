"""The chain rule line by line, as data and as text."""

from chainrule.lens.ledgers.book import Ledger, LedgerRow, Meeting, Part, ledger, shown_names
from chainrule.lens.ledgers.cells import Cell
from chainrule.lens.ledgers.coordinate import CoordinatePath, PathStep, Term, parse_coordinate
from chainrule.lens.ledgers.costs import Cost, Costs, costs_of, flops_of
from chainrule.lens.ledgers.facts import cost_facts, ledger_facts, path_facts
from chainrule.lens.ledgers.folding import Fold, ancestor
from chainrule.lens.ledgers.html import ledger_html
from chainrule.lens.ledgers.text import ledger_lines
from chainrule.lens.ledgers.text_costs import CostTable, cost_lines
from chainrule.lens.ledgers.text_path import path_lines
from chainrule.lens.ledgers.token_look import Depth, TokenLook, token_facts, token_lines

__all__ = [
    "Cell",
    "CoordinatePath",
    "Cost",
    "CostTable",
    "Costs",
    "Depth",
    "Fold",
    "Ledger",
    "LedgerRow",
    "Meeting",
    "Part",
    "PathStep",
    "Term",
    "TokenLook",
    "ancestor",
    "cost_facts",
    "cost_lines",
    "costs_of",
    "flops_of",
    "ledger",
    "ledger_facts",
    "ledger_html",
    "ledger_lines",
    "parse_coordinate",
    "path_facts",
    "path_lines",
    "shown_names",
    "token_facts",
    "token_lines",
]
