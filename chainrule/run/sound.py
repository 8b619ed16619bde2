"""What is read from a run folder, without what cannot be meant: a flipped bit or an edit must not stop who looks."""

import json
import math
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
    ]
)
MAPPINGS = frozenset(["baselines", "best", "by_source", "versions", "machine", "plan"])
LISTS = frozenset(["completions", "warnings", "layers"])
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
    **dict.fromkeys(LISTS, list),
    **dict.fromkeys(TEXTS, str),
    # Interpreter and test of its code, fingerprint and description, path and figures, score and scores.
    **dict.fromkeys(("python", "tokenizer", "data", "report"), (dict, str)),
    "tokens": (int, float, dict),
    **dict.fromkeys(("before", "new", "old"), (dict, int, float)),
}
# A row whose place is unknown is no row.
WHOLE = ("step", "tokens")


def sound_row(row: Any) -> dict[str, Any] | None:
    """A journal's row with only what is of its kind; None for what is no row, or one whose step is no whole number."""
    if not isinstance(row, dict) or not all(_is_whole(row[key]) for key in WHOLE if key in row):
        return None
    return {key: value for key, value in row.items() if _is_sound(key, value)}


def read_record(path: Path) -> dict[str, Any]:
    """The object in a JSON file of the run folder with only what is of its kind; empty when absent or damaged."""
    if not path.is_file():
        return {}
    with disk_faults(path, "reading"):
        content = path.read_bytes()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    if isinstance(found.get("tokens"), dict):
        del found["tokens"]  # a run's own are a number; those of its text, below "data", are a number for each side
    return _sound(found)


def _sound(record: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in record.items() if _is_sound(key, value)}
    # What a start was asked for is the person's own; its keys mean other things than a file's.
    return {k: _sound(v) if isinstance(v, dict) and k != "values" else v for k, v in kept.items()}


def _is_sound(key: str, value: Any) -> bool:
    kind = KINDS.get(key)
    if kind is None or value is None:
        return True
    finite = not isinstance(value, float) or math.isfinite(value)
    return finite and isinstance(value, kind) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
