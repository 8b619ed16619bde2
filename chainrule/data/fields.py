"""From a row to its text: one field, a template of several, or the messages of a conversation."""

import string
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.base import DataError, nearest
from chainrule.config import TextConfig
from chainrule.data.conversations import conversation_text, messages_text

Fields = Mapping[str, Any]
Build = Callable[[Fields], tuple[str | None, str]]
"""The text of a row, or None and the reason."""


def text_builder(config: TextConfig) -> Build:
    """How `config` makes text of a row; raises DataError for a malformed template."""
    if config.template is None:
        return lambda row: _field(row, config.field)
    # A shell passes backslash-n as two letters.
    parts = _parsed(config.template.replace("\\n", "\n").replace("\\t", "\t"))

    def fill(row: Fields) -> tuple[str | None, str]:
        for _, name in parts:
            if name is not None and _value(row, name) is None:
                return None, absent(name, row)
        return "".join(literal + ("" if name is None else str(_value(row, name))) for literal, name in parts), ""

    return fill


def wanted_fields(config: TextConfig) -> list[str]:
    """The columns that the text is made of, each once."""
    if config.template is None:
        return [config.field]
    return list(dict.fromkeys(name for _, name in _parsed(config.template) if name is not None))


def absent(name: str, row: Fields) -> str:
    """Why `name` cannot be taken from the row."""
    if name in row:
        return f"field {name!r} is null"
    columns = ", ".join(map(repr, list(row)[:12]))
    return f"no field {name!r}.{nearest(name, map(str, row))} The row has {columns or 'none'}; name one with text.field"


def _field(row: Fields, name: str) -> tuple[str | None, str]:
    value = _value(row, name)
    if isinstance(value, str):
        return value, ""
    conversation = conversation_text(row) if value is None and name not in row else messages_text(value)
    if conversation is not None:
        return conversation, ""
    if value is None:
        return None, absent(name, row)
    return None, f"field {name!r} holds {type(value).__name__}, not text"


def _value(row: Fields, name: str) -> Any:
    """The field of that name, or the one that its dots lead to: `a.b` is b inside a."""
    value: Any = row.get(name)
    if value is None and "." in name:
        value = row
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _parsed(template: str) -> list[tuple[str, str | None]]:
    """Literal text, each with the column that follows it (None at the end)."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as fault:
        raise DataError(f"text.template {template!r}: {fault}; write {{{{ and }}}} for plain braces") from fault
    names = [name for _, name, _, _ in parts if name is not None]
    if not names or any(name is not None and (not name or spec or how) for _, name, spec, how in parts):
        raise DataError(f"text.template {template!r}: name at least one column, each as {{column}} and nothing more")
    return [(literal, name) for literal, name, _, _ in parts]
