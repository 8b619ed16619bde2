"""The tokenizer as the model was trained with it, for transformers: the same ids, and nothing added to a text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.base import write_bytes
from chainrule.tokenizer import Tokenizer


def write_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Writes tokenizer.json.

    A vocabulary of others may ask for a token before each text (Llama 3's <|begin_of_text|>). Training never put it
    there, so the model does not know it, and it is taken out of the exported file.
    """
    tokenizer.save(path)
    saved = json.loads(path.read_bytes())
    plain = {**saved, "post_processor": _adding_nothing(saved.get("post_processor"))}
    if plain != saved:
        write_bytes(path, (json.dumps(plain, ensure_ascii=False) + "\n").encode())


def _adding_nothing(step: Any) -> dict[str, Any] | None:
    """The post-processing without the steps that add tokens: only ByteLevel adds none."""
    if not isinstance(step, Mapping):
        return None
    if step.get("type") == "Sequence":
        kept = [part for part in map(_adding_nothing, step.get("processors") or ()) if part is not None]
        return {**step, "processors": kept} if kept else None
    return dict(step) if step.get("type") == "ByteLevel" else None
