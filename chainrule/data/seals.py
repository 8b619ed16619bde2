"""JSON files that know whether they are as they were written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.base import write_json

SEAL = "seal"


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the content with its checksum, whole or not at all."""
    write_json(path, {**content, SEAL: _seal(content)})


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The content; None when the file is absent, no JSON, or not as it was written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        seal = content.pop(SEAL)
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return None
    return content if isinstance(content, dict) and seal == _seal(content) else None


def _seal(content: Mapping[str, Any]) -> str:
    # Through JSON, so that what is written and what is read are the same (tuples become lists, keys strings).
    return hashlib.sha256(json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode()).hexdigest()
