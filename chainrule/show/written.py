"""What is written to a file: the format that its ending means, and figures as JSON for a person."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError, finite, json_escape, with_letters_told

ENDINGS = {
    ".html": "html",
    ".htm": "html",
    ".svg": "svg",
    ".json": "json",
    ".md": "md",
    ".tex": "tex",
    ".txt": "text",
}


def format_of(path: Path, formats: Collection[str] = tuple(ENDINGS.values())) -> str:
    """The one of the `formats` that the path's ending means; ConfigError with all their endings for another."""
    found = ENDINGS.get(path.suffix.lower())
    if found is None or found not in formats:
        endings = [ending for ending, word in ENDINGS.items() if word in formats]
        raise ConfigError(f"{path} does not say its format; end it in {', '.join(endings)}")
    return found


def json_text(content: Mapping[str, Any]) -> str:
    """The object as JSON for a person; NaN and infinity as null, and what a terminal would obey as JSON's escapes."""
    text = json.dumps(finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    return with_letters_told(text, json_escape)
