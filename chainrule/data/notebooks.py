"""The text of a notebook (.ipynb): its Markdown and its code, cell after cell, without what was printed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chainrule.base import refuse_crowded
from chainrule.data.tidying import decoded, tidied

WRITTEN = ("markdown", "code", "heading")


def notebook_texts(content: bytes) -> Iterator[str]:
    """The cells as one text; raises ValueError for what is no notebook, or has no text."""
    try:
        refuse_crowded(content)
        notebook = json.loads(decoded(content))
    except RecursionError:
        raise ValueError("is no notebook: nested too deeply") from None
    except json.JSONDecodeError as fault:
        raise ValueError(f"is no notebook: malformed JSON ({fault})") from None
    except ValueError as fault:
        raise ValueError(f"is no notebook: {fault}") from None
    if not isinstance(notebook, Mapping) or not isinstance(cells := _cells(notebook), list):
        raise ValueError("is no notebook: it has no cells")
    text = tidied("\n\n".join(filter(None, map(_source, cells))))
    if not text:
        raise ValueError("is a notebook without text")
    yield text


def _cells(notebook: Mapping[str, Any]) -> Any:
    """Those of format 4, or of the sheets of older ones."""
    sheets = notebook.get("worksheets")
    if not isinstance(sheets, list):
        return notebook.get("cells")
    cells = (sheet.get("cells") for sheet in sheets if isinstance(sheet, Mapping))
    return [cell for found in cells if isinstance(found, list) for cell in found]


def _source(cell: Any) -> str:
    if not isinstance(cell, Mapping) or cell.get("cell_type") not in WRITTEN:
        return ""
    # Code was called input before format 4.
    source = cell.get("source", cell.get("input", ""))
    lines = source if isinstance(source, list) else [source]
    return "".join(line for line in lines if isinstance(line, str)).strip("\n")
