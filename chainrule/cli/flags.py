"""Every setting of the schema as a flag: `--model.n-layers 8` is `n_layers = 8` in section `[model]`."""

import dataclasses
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Annotated, Any, Optional, get_args, get_origin

from cyclopts import Group, Parameter, Token
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from chainrule.base import ConfigError, nearest
from chainrule.config import Config, Layer, section_type

SOURCE = "flag"


def _flag(field: FieldInfo) -> tuple[Any, Any]:
    """An optional field of the same type; ranges are left to the schema, which words them better."""
    default = "" if field.default_factory or field.default is None else f" Default: {_shown(field.default)}."
    negative = None if field.annotation is bool else ()
    convert = None if field.annotation is bool else _typed
    told = Parameter(negative=negative, converter=convert, help=f"{field.description}{default}")
    return Annotated[Optional[field.annotation], told], dataclasses.field(default=None)  # noqa: UP045


def _typed(kind: Any, tokens: Sequence[Token]) -> Any:
    """What was typed as the schema reads it, so that 2.5 is no number of layers; ValueError for what it refuses."""
    words = tuple(token.value for token in tokens)
    try:
        return TypeAdapter(kind).validate_python(words if get_origin(_some(kind)) is tuple else words[0])
    except ValidationError as fault:
        error = fault.errors(include_url=False)[0]
        hint = nearest(words[0], map(str, get_args(_some(kind)))) if error["type"] == "literal_error" else ""
        raise ValueError(f"{words[0]!r}: {error['msg'][:1].lower()}{error['msg'][1:]}.{hint}") from None


def _some(kind: Any) -> Any:
    """A type without its None."""
    return next(part for part in get_args(kind) if part is not type(None)) if type(None) in get_args(kind) else kind


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(repr, default)) or "none"
    return {True: "yes", False: "no"}[default] if isinstance(default, bool) else f"{default}"


def _section(name: str, place: int, only: Sequence[str] = ()) -> tuple[Any, Any]:
    """A section's settings as flags: all of them, or `only` some."""
    fields = section_type(name).model_fields
    flags = [(key, *_flag(field)) for key, field in fields.items() if not only or key in only]
    group = Group(f"Settings: {name}", sort_key=10 + place)
    parameter = Parameter(group=group, show_default=False)
    return Annotated[_made(name.title(), flags) | None, parameter], dataclasses.field(default=None)


def _made(name: str, fields: Sequence[tuple[str, Any, Any]]) -> type:
    """A dataclass, since of a pydantic model the parser would read pydantic's own source for its help, at each call.

    It belongs to no module, where nobody looks for its source.
    """
    return dataclasses.make_dataclass(name, fields, kw_only=True, namespace={"__module__": ""})


# Built from the schema, so that a new setting is a flag on the day it is written.
SettingFlags = _made("SettingFlags", [(name, *_section(name, place)) for place, name in enumerate(Config.model_fields)])
# What says how text is read, and nothing of what is done with it afterwards.
READING = ("field", "template", "separator", "on_bad")
ReadingFlags = _made("ReadingSettingFlags", [("text", *_section("text", 0, READING))])
TextFlags = Annotated[ReadingFlags | None, Parameter(name="*", show_default=False)]  # type: ignore[valid-type]
Flags = Annotated[SettingFlags | None, Parameter(name="*", show_default=False)]  # type: ignore[valid-type]


def flag_layer(flags: Any, shortcuts: dict[str, Any] | None = None) -> Layer:
    """The layer of what was typed; `shortcuts` are "section.key" -> value, None where not typed.

    Raises ConfigError when a setting was given by its flag and by its shortcut.
    """
    values: dict[str, dict[str, Any]] = {}
    for one in dataclasses.fields(flags) if flags else ():
        typed = vars(getattr(flags, one.name) or SimpleNamespace())
        if given := {key: value for key, value in typed.items() if value is not None}:
            values[one.name] = given
    for name, value in (shortcuts or {}).items():
        section, key = name.split(".")
        if value is None:
            continue
        if key in values.get(section, {}):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{name} was given twice, as {values[section][key]!r} ({flag}) and as {value!r}")
        values.setdefault(section, {})[key] = value
    return Layer(SOURCE, values)
