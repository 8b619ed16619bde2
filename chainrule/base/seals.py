"""JSON files that know whether they are as they were written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.base.disk import open_file, write_json

SEAL = "seal"


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the content with its checksum, whole or not at all."""
    write_json(path, {**content, SEAL: seal_of(content)})


def read_sealed(path: Path) -> dict[str, Any] | None:
    """The content; None when the file is absent, no JSON, or not as it was written."""
    try:
        with open_file(path) as stream:
            content = json.loads(stream.read())
    except (OSError, ValueError, RecursionError):
        return None
    return unsealed(content) if isinstance(content, dict) and SEAL in content else None


def unsealed(content: Mapping[str, Any]) -> dict[str, Any] | None:
    """The content without its checksum; None where that is not right. What has none is taken as it is."""
    own = {key: value for key, value in content.items() if key != SEAL}
    try:
        return own if SEAL not in content or content[SEAL] == seal_of(own) else None
    except (ValueError, RecursionError):
        return None


def seal_of(content: Mapping[str, Any]) -> str:
    """The checksum: SHA-256 of the content in one spelling."""
    # Through JSON, so that what is written and what is read are the same (tuples become lists, keys strings).
    return hashlib.sha256(json.dumps(json.loads(json.dumps(content)), sort_keys=True).encode()).hexdigest()
