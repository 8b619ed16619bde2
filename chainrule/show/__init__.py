"""How anything is shown: tables and numbers of a terminal, HTML, files, and text that can do no harm; without torch."""

from chainrule.base import printable
from chainrule.show.chart import Axes, Curve, line_chart
from chainrule.show.html import Html, join, rows, tag
from chainrule.show.safe import clean, escaped, markdown
from chainrule.show.table import WIDTH, cut, number_text, padded, shape_text, table_lines, wrapped
from chainrule.show.terminal import count, number, one_line, percent, rate
from chainrule.show.whole_page import document, grid
from chainrule.show.written import format_of, json_text

__all__ = [
    "WIDTH",
    "Axes",
    "Curve",
    "Html",
    "clean",
    "count",
    "cut",
    "document",
    "escaped",
    "format_of",
    "grid",
    "join",
    "json_text",
    "line_chart",
    "markdown",
    "number",
    "number_text",
    "one_line",
    "padded",
    "percent",
    "printable",
    "rate",
    "rows",
    "shape_text",
    "table_lines",
    "tag",
    "wrapped",
]
