"""Every setting of a run, where its value came from, and what it does."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chainrule.config import Config


@dataclass(frozen=True)
class Setting:
    """One line of config.toml; `source` is "default" when nothing else set it."""

    section: str
    key: str
    value: Any
    source: str
    help: str


def read_settings(path: Path) -> list[Setting]:
    """The settings in the file's order; empty when the file is missing or is not TOML text."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return list(_settings(lines))


def _settings(lines: list[str]) -> Iterator[Setting]:
    section = ""
    for line in lines:
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif (parsed := _line(line)) is not None:
            key, value, source = parsed
            origin = "automatic" if source.startswith("automatic:") else source or "default"
            yield Setting(section, key, value, origin, _help(section, key))


def _line(line: str) -> tuple[str, Any, str] | None:
    """Key, value and comment; what follows from other settings stands in the file as a comment as a whole."""
    line = line.removeprefix("# ")
    for marks in range(line.count("  # ") + 1):
        # A value may itself hold the mark: the first cut that leaves valid TOML is the right one.
        parts = line.split("  # ")
        left, comment = "  # ".join(parts[: marks + 1]), "  # ".join(parts[marks + 1 :])
        try:
            values = tomllib.loads(left)
        except ValueError:  # no TOML, or a number of thousands of digits
            continue
        if len(values) == 1:
            return (*next(iter(values.items())), comment)
    return None


def _help(section: str, key: str) -> str:
    field = Config.model_fields.get(section)
    fields = getattr(field.annotation, "model_fields", {}) if field else {}
    return str(fields[key].description or "") if key in fields else ""
