"""A configuration as a file that explains itself."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from chainrule.config.load import Resolved, section_type
from chainrule.config.toml import to_toml

WIDTH = 116


def explained(resolved: Resolved, *, explain: bool = True) -> Iterator[str]:
    """The lines of a configuration file: every setting with its value and source, and what it does with `explain`."""
    section, sources = "", _sources(resolved)
    for line in to_toml(resolved.config, sources).splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            yield from _sentence(section_type(section).__doc__) if explain else ()
        elif line and explain:
            key = line.removeprefix("# ").split(" ")[0]
            yield from _sentence(section_type(section).model_fields[key].description)
        # A default stands as a comment: in a file that is made of this, the automatic choice may still decide it.
        key = line.split(" ")[0]
        yield f"# {line}" if sources.get(f"{section}.{key}") == "default" else line
    if explain:
        yield from ("", "# Not set:", *_unset(resolved))


def _unset(resolved: Resolved) -> Iterator[str]:
    for section in type(resolved.config).model_fields:
        for key, value in getattr(resolved.config, section):
            if value is None:
                yield f"# {section}.{key}"
                yield from _sentence(section_type(section).model_fields[key].description)


def _sources(resolved: Resolved) -> dict[str, str]:
    keys = [
        f"{section}.{key}"
        for section in type(resolved.config).model_fields
        for key in section_type(section).model_fields
    ]
    return dict.fromkeys(keys, "default") | dict(resolved.sources)


def _sentence(text: str | None) -> Sequence[Any]:
    return [f"# {line}" for line in textwrap.wrap(" ".join((text or "").split()), WIDTH)]
