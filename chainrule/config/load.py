"""From layers (preset, file, flags) to one checked configuration that knows where each value came from."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from chainrule.base import ConfigError, disk_faults, nearest
from chainrule.config.schema import Config


@dataclass(frozen=True)
class Layer:
    """Values of one origin, nested as in the file: `Layer("flag", {"model": {"n_layers": 8}})`."""

    source: str
    values: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Resolved:
    """A checked configuration, and for each key ("model.n_layers") the source that had the last word."""

    config: Config
    sources: Mapping[str, str]


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Lays the layers over the defaults, the later over the earlier; raises ConfigError naming key and source."""
    merged: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    for layer in layers:
        for section, values in layer.values.items():
            _check_known(section, Config, layer.source, "section")
            if not isinstance(values, Mapping):
                raise ConfigError(f"{layer.source}: {section} is a section; write [{section}] and its keys below it")
            for key, value in values.items():
                _check_known(key, _section_type(section), layer.source, "setting", f"{section}.")
                merged.setdefault(section, {})[key] = value
                sources[f"{section}.{key}"] = layer.source
    try:
        return Resolved(Config.model_validate(merged), sources)
    except ValidationError as fault:
        raise ConfigError(_explain(fault, sources)) from None


def load_toml(path: Path) -> Layer:
    """The layer that a TOML file holds; raises ConfigError when it is missing, unreadable or not TOML."""
    if not path.is_file():
        raise ConfigError(f"{path} is not a file; give the TOML file of a configuration, such as runs/NAME/config.toml")
    with disk_faults(path, "reading"):
        content = path.read_bytes()
    try:
        return Layer(str(path), tomllib.loads(content.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise ConfigError(f"{path} is not valid TOML: {fault}") from None


def to_toml(config: Config, sources: Mapping[str, str] | None = None) -> str:
    """TOML that `load_toml` reads back to an equal configuration, each value followed by its source when known."""
    lines = []
    for section, values in config.model_dump(mode="json").items():
        lines += ["", f"[{section}]"]
        for key, value in values.items():
            if value is None:
                continue
            source = (sources or {}).get(f"{section}.{key}")
            # JSON's strings, numbers, booleans and lists are TOML's too (TOML has no null, so None is left out).
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=True)}" + (f"  # {source}" if source else ""))
    return "\n".join(lines[1:]) + "\n"


def _section_type(section: str) -> type[BaseModel]:
    annotation = Config.model_fields[section].annotation
    assert isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation


def _check_known(name: str, owner: type[BaseModel], source: str, what: str, prefix: str = "") -> None:
    if name in owner.model_fields:
        return
    everywhere = {
        key: f"{section}.{key}" for section in Config.model_fields for key in _section_type(section).model_fields
    }
    hint = nearest(name, owner.model_fields)
    if not hint and name in everywhere:
        hint = f" Did you mean {everywhere[name]!r}?"
    known = ", ".join(owner.model_fields)
    raise ConfigError(f"{source}: unknown {what} {prefix + name!r}.{hint} Known: {known}.")


def _explain(fault: ValidationError, sources: Mapping[str, str]) -> str:
    """One line for each error: key, what was given, where, what is allowed."""
    lines = []
    for error in fault.errors(include_url=False):
        key = ".".join(str(part) for part in error["loc"][:2])
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "value_error":
            lines.append(f"[{key}] {message}.")
            continue
        hint = ""
        if error["type"] == "literal_error":
            annotation = _section_type(str(error["loc"][0])).model_fields[str(error["loc"][1])].annotation
            hint = nearest(str(error["input"]), [str(choice) for choice in get_args(annotation)])
        source = f" ({sources[key]})" if key in sources else ""
        lines.append(f"{key} = {error['input']!r}{source}: {message[:1].lower()}{message[1:]}.{hint}")
    return "\n".join(lines)
