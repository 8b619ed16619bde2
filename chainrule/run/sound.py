"""What is read from a run folder, without what cannot be meant: a flipped bit or an edit must not stop who looks."""

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.base import disk_faults

# What each key holds, wherever in a run's files it stands; a key that is not here is left as it is.
NUMBERS = frozenset(
    [
        "step",
        "steps",
        "seconds",
        "total_seconds",
        "loss",
        "lr",
        "grad_norm",
        "tokens_per_second",
        "peak_share",
        "seconds_left",
        "samples",
        "val_loss",
        "val_perplexity",
        "val_bits_per_byte",
        "bits_per_byte",
        "perplexity",
        "train_loss",
        "parameters",
        "n_skipped",
        "signal",
        "batch_tokens",
        "flops_per_token",
        "memory_bytes",
        "cores",
        "threads",
        "peak_flops",
        "unigram",
        "bigram",
        "gzip",
        "xz",
        "xz_seen",
        "functions",
        "parsed",
        "share",
        "vocab_size",
        "n_tokens",
        "n_bytes",
        "bytes_per_token",
        "unused_share",
        "embedding_share",
        "epochs",
        "documents",
        "files",
        "encoding_errors",
        "minutes",
        "spent",
        "after",
        "bytes",
        "train",
        "validation",
        "duplicates",
        "near_duplicates",
        "left_out",
        "empty",
        "bad",
        "train_bytes",
        "held_out_bytes",
        "of_tokens",
        "of_bytes",
    ]
)
MAPPINGS = frozenset(["baselines", "best", "versions", "machine", "plan", "split_bytes", "skipped_by", "copied"])
# By names that are the user's own, which may be any word of this page.
NAMED = frozenset(["sources", "by_source"])
LISTS = frozenset(["warnings", "notes", "layers"])
ROWS = frozenset(["completions"])
TEXTS = frozenset(
    [
        "status",
        "message",
        "text",
        "prompt",
        "cpu",
        "device",
        "device_name",
        "reason",
        "precision",
        "torch",
        "architecture",
    ]
)
KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(NUMBERS, (int, float)),
    **dict.fromkeys(MAPPINGS, dict),
    **dict.fromkeys(NAMED, dict),
    **dict.fromkeys(LISTS, list),
    **dict.fromkeys(ROWS, list),
    **dict.fromkeys(TEXTS, str),
    # Interpreter and test of its code, fingerprint and description, path and figures, score and scores.
    **dict.fromkeys(("python", "tokenizer", "data", "report"), (dict, str)),
    "tokens": (int, float, dict),
    **dict.fromkeys(("before", "new", "old"), (dict, int, float)),
}
# What no number of a run is, and no float holds: such a one becomes null, as in a row that we write. Looked for first,
# because Python's own functions for numbers make reading several times slower.
BEYOND = re.compile(rb"\d{300}|\d[eE]\+?\d{3}|NaN|Infinity")
# A row whose place is unknown is no row.
WHOLE = ("step", "tokens")


def json_value(content: bytes) -> Any:
    """The value in JSON, with null for a number that is not finite or too large; raises ValueError for what is none."""
    try:
        if not BEYOND.search(content):
            return json.loads(content)
        return json.loads(content, parse_float=_finite, parse_int=_whole, parse_constant=lambda word: None)
    except RecursionError as fault:
        raise ValueError("nested too deeply") from fault


def _finite(digits: str) -> float | None:
    return value if math.isfinite(value := float(digits)) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) < 300 else None


def sound_row(row: Any) -> dict[str, Any] | None:
    """A journal's row with only what is of its kind; None for what is no row, or one whose step is no whole number."""
    if not isinstance(row, dict) or not all(_is_whole(row[key]) for key in WHOLE if key in row):
        return None
    return {key: value for key, value in row.items() if _is_sound(key, value)}


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file of the run folder, as it stands there; empty when absent or damaged."""
    if not path.is_file():
        return {}
    with disk_faults(path, "reading"):
        content = path.read_bytes()
    try:
        found = json_value(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_record(path: Path) -> dict[str, Any]:
    """The object in a JSON file of the run folder with only what is of its kind; empty when absent or damaged."""
    found = read_object(path)
    if isinstance(found.get("tokens"), dict):
        del found["tokens"]  # a run's own are a number; those of its text, below "data", are a number for each side
    return _sound(found)


def known_values(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what is not of its kind, and without nulls."""
    kept = {key: value for key, value in _sound(record).items() if value is not None}
    return {key: known_values(value) if isinstance(value, dict) else value for key, value in kept.items()}


def _sound(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in record.items() if _is_sound(key, value)}
    # What a start was asked for is the person's own; its keys mean other things than a file's.
    return {key: value if key == "values" else _inside(key, value) for key, value in kept.items()}


def _inside(key: str, value: Any) -> Any:
    if key in NAMED and isinstance(value, dict):
        return {name: _sound(inside) for name, inside in value.items() if isinstance(inside, dict)}
    if key in ROWS and isinstance(value, list):
        return [_sound(inside) for inside in value if isinstance(inside, dict)]
    return _sound(value) if isinstance(value, dict) else value


def _is_sound(key: str, value: Any) -> bool:
    kind = KINDS.get(key)
    if kind is None or value is None:
        return True
    finite = not isinstance(value, float) or math.isfinite(value)
    return finite and isinstance(value, kind) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
