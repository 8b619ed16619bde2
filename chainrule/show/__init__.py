"""How anything is shown: tables and numbers of a terminal, HTML, and text that can do no harm; without torch."""

from chainrule.show.html import Html, join, rows, tag, text
from chainrule.show.safe import clean, escaped
from chainrule.show.table import WIDTH, cut, number_text, padded, shape_text, table_lines, wrapped

__all__ = [
    "WIDTH",
    "Html",
    "clean",
    "cut",
    "escaped",
    "join",
    "number_text",
    "padded",
    "rows",
    "shape_text",
    "table_lines",
    "tag",
    "text",
    "wrapped",
]
