"""JSON of others that takes many times its length in memory, told by its signs before it is parsed."""

import json
from pathlib import Path
from typing import Any

from chainrule.base.units import bytes_text

# What Python keeps for an empty dict, an empty list and what stands between two commas (measured: CPython 3.11).
DICT_BYTES, LIST_BYTES, ENTRY_BYTES = 64, 56, 58
# Beside what the program itself takes, half a gigabyte is not exceeded. Prose has a comma in 60 letters, code a brace
# in 70: a line of 64 MiB of either stays below.
MOST_PARSED_BYTES = 192 << 20
# The index of a model with 130,000 tensors has so much; a config.json has some kilobytes.
MOST_SETTINGS_BYTES = 16 << 20


def refuse_crowded(content: bytes) -> None:
    """Raises ValueError for JSON that would take more than MOST_PARSED_BYTES besides its texts."""
    refuse_parsed(len(content), parsed_bytes(content))


def parsed_bytes(content: bytes) -> int:
    """The memory that JSON, or a part of it, takes besides its texts, by its signs."""
    return DICT_BYTES * content.count(b"{") + LIST_BYTES * content.count(b"[") + ENTRY_BYTES * content.count(b",")


def refuse_parsed(n_bytes: int, needed: int) -> None:
    """Raises ValueError when JSON of `n_bytes` needs more than MOST_PARSED_BYTES."""
    if needed > MOST_PARSED_BYTES:
        raise ValueError(
            f"{bytes_text(n_bytes)} of brackets and commas that would take {bytes_text(needed)} of memory; "
            f"{bytes_text(MOST_PARSED_BYTES)} are allowed"
        )


def settings_json(path: Path) -> Any:
    """The JSON of a small file of others; raises ValueError for one that is none, or longer or more crowded than any.

    OSError and RecursionError as `json.loads` and the system raise them.
    """
    with path.open("rb") as stream:
        content = stream.read(MOST_SETTINGS_BYTES + 1)
    if len(content) > MOST_SETTINGS_BYTES:
        raise ValueError(f"longer than {bytes_text(MOST_SETTINGS_BYTES)}, as no such file is")
    refuse_crowded(content)
    return json.loads(content)
