"""How a record of a run folder is read with care and written as it is: the types of its fields say what is sound."""

import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from functools import cache
from typing import Any, ClassVar, Self


class Record:
    """A frozen dataclass that is read from JSON and written as JSON; the types of its fields say what is sound."""

    KIND: ClassVar[str] = ""
    """The word by which its file, which holds several kinds, tells it from the others."""

    @classmethod
    def of(cls, found: object) -> Self | None:
        """The record; None for what is no object, or lacks a field without a default."""
        if not isinstance(found, Mapping):
            return None
        checks, needed = _form(cls)  # type: ignore[arg-type]  # a class can be hashed
        known = {}
        for name, value in found.items():
            if name in checks and value is not None and (sound := checks[name](value)) is not None:
                known[name] = sound
        return cls(**known) if needed <= known.keys() else None

    def row(self) -> dict[str, Any]:
        """By name, as JSON holds it; what is not known is left out."""
        own = {name: value for name, value in asdict(self).items() if value is not None}  # type: ignore[call-overload]
        return {"kind": self.KIND, **own} if self.KIND else own


Check = Callable[[Any], Any]
"""From what JSON holds to what a field may hold, or None."""


@cache
def _form(cls: type[Record]) -> tuple[dict[str, Check], frozenset[str]]:
    """The check of each field, and the fields that have no default."""
    own, hints = fields(cls), typing.get_type_hints(cls)  # type: ignore[arg-type]
    needed = (one.name for one in own if one.default is MISSING and one.default_factory is MISSING)
    return {one.name: _check(hints[one.name]) for one in own}, frozenset(needed)


def _check(kind: Any) -> Check:
    """The check that an annotation asks for; made once, because a report reads a hundred thousand rows."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return lambda value: value
    if origin in (types.UnionType, typing.Union):
        return _any_of([_check(part) for part in parts if part is not types.NoneType])
    if origin is tuple:
        # A column keeps its places: what was not finite is None there. A list of things has only what is sound.
        return _items(_check(parts[0]), keeps=types.NoneType in typing.get_args(parts[0]))
    if origin is Mapping:
        # What may be anything may be null.
        return _pairs(_check(parts[1]), keeps=parts[1] is Any)
    return kind.of if issubclass(kind, Record) else SINGLE[kind]


def _any_of(checks: Sequence[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]
    return lambda value: next((sound for check in checks if (sound := check(value)) is not None), None)


def _items(check: Check, *, keeps: bool) -> Check:
    def checked(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return None
        found = [check(item) for item in value]
        return tuple(found) if keeps else tuple(one for one in found if one is not None)

    return checked


def _pairs(check: Check, *, keeps: bool) -> Check:
    def checked(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return None
        found = {str(key): check(item) for key, item in value.items()}
        return found if keeps else {key: sound for key, sound in found.items() if sound is not None}

    return checked


def _number(value: Any) -> Any:
    return value if type(value) is int or (type(value) is float and math.isfinite(value)) else None


SINGLE: dict[Any, Check] = {
    float: _number,
    int: lambda value: value if type(value) is int else None,
    str: lambda value: value if isinstance(value, str) else None,
    bool: lambda value: value if isinstance(value, bool) else None,
}
