"""Every setting of the schema as a flag: `--model.n-layers 8` is `n_layers = 8` in section `[model]`."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import CycloptsError, Group, Parameter
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from chainrule.base import ConfigError
from chainrule.config import Config, Layer, mistakes, section_type

SOURCE = "flag"


def _flag(field: FieldInfo) -> tuple[Any, Any]:
    """An optional field of the same type; ranges are left to the schema, which words them better."""
    default = "" if field.default_factory or field.default is None else f" Default: {_shown(field.default)}."
    kind = Annotated[field.annotation | None, Parameter(negative=None if field.annotation is bool else ())]
    return kind, Field(None, description=f"{field.description}{default}")


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(repr, default)) or "none"
    return {True: "yes", False: "no"}[default] if isinstance(default, bool) else f"{default}"


def _section(name: str, place: int, only: Sequence[str] = ()) -> tuple[Any, Any]:
    """A section's settings as flags: all of them, or `only` some."""
    fields = section_type(name).model_fields
    flags = {key: _flag(field) for key, field in fields.items() if not only or key in only}
    model = create_model(name.title(), __config__=ConfigDict(extra="forbid"), **flags)  # type: ignore[call-overload]
    group = Group(f"Settings: {name}", sort_key=10 + place)
    return Annotated[model | None, Parameter(group=group, show_default=False)], None


# Built from the schema, so that a new setting is a flag on the day it is written.
SettingFlags: type[BaseModel] = create_model(  # type: ignore[call-overload]
    "SettingFlags", **{name: _section(name, place) for place, name in enumerate(Config.model_fields)}
)
# What says how text is read, and nothing of what is done with it afterwards.
READING = ("field", "template", "separator", "on_bad")
ReadingFlags: type[BaseModel] = create_model("ReadingSettingFlags", text=_section("text", 0, READING))
TextFlags = Annotated[ReadingFlags | None, Parameter(name="*", show_default=False)]
Flags = Annotated[SettingFlags | None, Parameter(name="*", show_default=False)]


def flag_layer(flags: BaseModel | None, shortcuts: dict[str, Any] | None = None) -> Layer:
    """The layer of what was typed; `shortcuts` are "section.key" -> value, None where not typed.

    Raises ConfigError when a setting was given by its flag and by its shortcut.
    """
    values: dict[str, dict[str, Any]] = flags.model_dump(exclude_unset=True) if flags else {}
    values = {section: settings for section, settings in values.items() if settings}
    for name, value in (shortcuts or {}).items():
        section, key = name.split(".")
        if value is None:
            continue
        if key in values.get(section, {}):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"{name} was given twice, as {values[section][key]!r} ({flag}) and as {value!r}")
        values.setdefault(section, {})[key] = value
    return Layer(SOURCE, values)


def flag_mistakes(fault: CycloptsError) -> str:
    """What was wrong with the values of setting flags, in the configuration's words; empty for other faults."""
    cause = fault.__cause__
    if not isinstance(cause, ValidationError) or not str(cause.title).endswith("SettingFlags]"):
        return ""
    sources = {".".join(map(str, error["loc"][:2])): SOURCE for error in cause.errors()}
    return "\n".join(mistakes(cause, sources))
