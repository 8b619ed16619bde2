"""The configuration as a file: TOML that says for each value where it came from."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError, bytes_text, disk_faults, with_letters_told
from chainrule.config.load import Layer
from chainrule.config.schema import Config
from chainrule.config.section import Section

# tomllib's time grows with the square of a key's depth: 20,000 dots took 39 s and 1.8 GB. Ours have one.
# tomllib takes some 90 bytes of memory and half a microsecond for each byte of empty tables; ours have 5 kB.
MOST_BYTES = 1 << 19
DEEP_KEY = re.compile(rb"^[ \t]*\[{0,2}[ \t]*[\w\"'-]+(?:[ \t]*\.[ \t]*[\w\"'-]+){64}", re.MULTILINE)


def load_toml(path: Path) -> Layer:
    """The layer that a TOML file holds; raises ConfigError when it is missing, unreadable or not TOML."""
    if not path.is_file():
        raise ConfigError(f"{path} is not a file; give the TOML file of a configuration, such as runs/NAME/config.toml")
    with disk_faults(path, "reading"):
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{path} is longer than {bytes_text(MOST_BYTES)}, which no configuration is")
        content = path.read_bytes()
    try:
        if DEEP_KEY.search(content):
            raise RecursionError
        values = tomllib.loads(content.decode())
    except ValueError as fault:  # not TOML, not UTF-8, or a number of more digits than Python reads
        raise ConfigError(f"{path} is not valid TOML: {fault}") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply to be a configuration") from None
    for name, value in values.items():
        if name in Config.model_fields and not isinstance(value, dict):
            raise ConfigError(f"{path}: {name} is a section; write [{name}] and its keys below it")
    return Layer(str(path), values)


def to_toml(config: Config, sources: Mapping[str, str] | None = None) -> str:
    """TOML that `load_toml` reads back to an equal configuration, each value followed by its source when known.

    What follows from other settings is written as a comment, so that it is computed again when those are changed.
    """
    lines: list[str] = []
    for name in Config.model_fields:
        lines += ["", f"[{name}]", *_section_lines(name, getattr(config, name), sources or {})]
    return "\n".join(lines[1:]) + "\n"


def _section_lines(name: str, section: Section, sources: Mapping[str, str]) -> Iterator[str]:
    for key, value in section.model_dump(mode="json").items():
        if value is None:  # TOML has no null; what is absent is None again after reading
            continue
        source = _one_line(sources.get(f"{name}.{key}", ""))
        if key in section.automatic:
            yield f"# {key} = {toml_value(value)}  # automatic: follows from the settings above"
        else:
            yield f"{key} = {toml_value(value)}" + (f"  # {source}" if source else "")


def toml_value(value: Any) -> str:
    """A string, number, boolean or list in TOML's spelling: JSON's, with what a terminal would obey escaped."""
    # Not ensure_ascii: JSON writes letters beyond 16 bits as surrogate pairs, which TOML refuses.
    return with_letters_told(json.dumps(value, ensure_ascii=False, allow_nan=False), _escape)


def _escape(letter: str) -> str:
    number = ord(letter)
    # Half a letter has no escape in TOML.
    return letter if 0xD800 <= number < 0xE000 else f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"


def _one_line(comment: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in comment)
