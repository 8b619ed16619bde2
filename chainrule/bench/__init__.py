"""Benchmarks beside peers whose place is given: sides that take turns, results by class, and the page of them."""

from chainrule.bench.benchmarks import Call, checked_names, measure
from chainrule.bench.page import results_page
from chainrule.bench.results import Result, read_results, row, write_result
from chainrule.bench.tables import HEAD, circumstances, rows

__all__ = [
    "HEAD",
    "Call",
    "Result",
    "checked_names",
    "circumstances",
    "measure",
    "read_results",
    "results_page",
    "row",
    "rows",
    "write_result",
]
