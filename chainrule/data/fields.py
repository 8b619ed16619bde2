"""From a row to its text: one field, a template of several, or the messages of a conversation."""

import re
import string
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from chainrule.base import DataError, nearest
from chainrule.config import TextConfig
from chainrule.data.conversations import conversation_text, messages_text

STEP = re.compile(r"([^.\[\]]+)|(\[[^\]]*\])")
# What an object has that somebody said, and a piece of a styled text has not.
SPEAKERS = frozenset({"role", "from", "author", "date"})
# Letters of a string that is a text by itself, on average.
LEAST_STRING = 40
# Of paths to texts, how many are told, and how deep they go.
MOST_PATHS, MOST_DEPTH = 4, 6
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
        return "".join(literal + ("" if name is None else _shown(_value(row, name))) for literal, name in parts), ""

    return fill


def _shown(value: Any) -> str:
    text = _text(value)
    return str(value) if text is None else text


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
    return (
        f"no field {name!r}.{nearest(name, map(str, row))} The row has {columns or 'none'}{_inside(row)}; "
        "name one with text.field"
    )


def _inside(row: Fields) -> str:
    paths = ", ".join(islice(_paths_inside(row), MOST_PATHS))
    return f" (texts inside: {paths})" if paths else ""


def _paths_inside(value: Any, path: str = "", depth: int = 0) -> Iterator[str]:
    """The paths to texts below the fields of a row, as text.field takes them."""
    if isinstance(value, Mapping) and depth < MOST_DEPTH:
        for key, item in value.items():
            yield from _paths_inside(item, f"{path}.{key}" if path else str(key), depth + 1)
    elif isinstance(value, list) and value and depth < MOST_DEPTH:
        yield from _paths_inside(value[0], f"{path}[]", depth + 1)
    elif isinstance(value, str) and depth > 1:
        yield path


def rows_inside(whole: Fields, build: Build) -> list[Any]:
    """The list that an object holds instead of being a row itself: of rows with text, or of texts; else none.

    The first such list, whatever its key: {"version": 1, "data": [{"text": …}, …]}.
    """
    for value in whole.values():
        if isinstance(value, list) and value:
            first = value[0]
            if isinstance(first, Mapping) and build(first)[0] is not None:
                return value
    texts = [value for value in whole.values() if _are_texts(value)]
    return texts[0] if len(texts) == 1 else []


def _are_texts(value: Any) -> bool:
    """Whether it is a list of strings that are longer than names."""
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        return False
    return sum(map(len, value)) >= LEAST_STRING * len(value)


def first_key(name: str) -> str:
    """The column that a path begins in: `a` of `a.b`, `a[].b` and `a[b]`."""
    return re.split(r"[.\[]", name, maxsplit=1)[0]


def _field(row: Fields, name: str) -> tuple[str | None, str]:
    value = _value(row, name)
    if (text := _text(value)) is not None:
        return text, ""
    conversation = conversation_text(row) if value is None and name not in row else messages_text(value)
    if conversation is not None:
        return conversation, ""
    if value is None:
        return None, absent(name, row)
    return None, f"field {name!r} holds {type(value).__name__}, not text{_inside(row)}"


def _text(value: Any) -> str | None:
    """The text of a field: one, a list of lines, or one that was cut where its style changes; None for all else."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(part, str) for part in value):
        return "\n".join(value)
    # Telegram and others write bold words and links as objects among the strings.
    styled: list[Any] = [part.get("text") if isinstance(part, Mapping) else part for part in value]
    spoken = any(isinstance(part, Mapping) and part.keys() & SPEAKERS for part in value)
    if spoken or not all(isinstance(part, str) for part in styled):
        return None
    pieces = all(isinstance(part, str) or "type" in part for part in value)
    return ("" if pieces else "\n").join(styled)


def _value(row: Fields, name: str) -> Any:
    """The field of that name, or what its path leads to.

    `a.b` and `a[b]` are b inside a, `a[0]` is the first of a list, and `a[].b` are the texts of all b, a line each.
    """
    value = row.get(name)
    if value is None and ("." in name or "[" in name):
        found = list(_reached(row, [part for parts in STEP.findall(name) for part in parts if part]))
        value = found[0] if "[]" not in name and found else (_lines(found) if found else None)
    return value


def _reached(value: Any, steps: list[str]) -> Iterator[Any]:
    for place, step in enumerate(steps):
        if step == "[]":
            if isinstance(value, list):
                for item in value:
                    yield from _reached(item, steps[place + 1 :])
            return
        key = step.strip("[]")
        if isinstance(value, list) and key.isdecimal():
            value = value[int(key)] if int(key) < len(value) else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    if value is not None:
        yield value


def _lines(found: list[Any]) -> str | None:
    texts = [text for value in found if (text := _text(value))]
    return "\n".join(texts) if texts else None


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
