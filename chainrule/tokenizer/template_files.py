"""Where a folder keeps its chat template: chat_template.jinja, with the words and ends that go with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError, disk_faults, settings_json, write_bytes, write_json
from chainrule.tokenizer.template import ChatTemplate, chat_template
from chainrule.tokenizer.tokenizer import Tokenizer

SOURCE = "chat_template.jinja"
WORDS = "tokenizer_config.json"
ENDS = "generation_config.json"
# Four bytes a letter, and one more than is read as a template (sandbox.py), which is then refused.
MOST_SOURCE_BYTES = (1 << 18) + 4
"""The names are Hugging Face's, so that what we write is read by transformers and the other way round."""
TEMPLATE_FILES = (SOURCE, WORDS, ENDS)


def load_template(folder: Path, tokenizer: Tokenizer) -> ChatTemplate | None:
    """The chat template of a run, a checkpoint or a Hugging Face folder; None for a base model, which has none.

    chat_template.jinja, else what tokenizer_config.json has. Raises ConfigError, naming the file, for one that cannot
    be used.
    """
    settings = _json(folder / WORDS)
    source = _source(folder, settings)
    if source is None:
        return None
    variables = {name: word for name, entry in settings.items() if (word := _word(name, entry)) is not None}
    ends = _json(folder / ENDS).get("eos_token_id")
    stop = [number for number in (ends if isinstance(ends, list) else [ends]) if isinstance(number, int)]
    try:
        return chat_template(source, tokenizer, variables, stop)
    except ConfigError as fault:
        raise ConfigError(f"{folder}: {fault}") from None


def save_template(template: ChatTemplate, folder: Path) -> None:
    """Writes chat_template.jinja, and beside it the words and the ends that `load_template` needs to make the same."""
    write_bytes(folder / SOURCE, template.source.encode())
    write_json(folder / WORDS, dict(template.variables))
    write_json(folder / ENDS, {"eos_token_id": sorted(template.stop)})


def _source(folder: Path, settings: Mapping[str, Any]) -> str | None:
    if (folder / SOURCE).is_file():
        with disk_faults(folder / SOURCE, "reading"), (folder / SOURCE).open("rb") as stream:
            return stream.read(MOST_SOURCE_BYTES).decode(errors="replace")
    stored = settings.get("chat_template")
    if isinstance(stored, list):  # several, by name
        named = {one.get("name"): one.get("template") for one in stored if isinstance(one, dict)}
        stored = named.get("default")
    return stored if isinstance(stored, str) else None


def _word(name: str, entry: Any) -> str | None:
    """The text of "bos_token" and its like, written as a text or as a token."""
    if isinstance(entry, dict):
        entry = entry.get("content")
    return entry if name.endswith("_token") and isinstance(entry, str) else None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    with disk_faults(path, "reading"):
        try:
            content = settings_json(path)
        except (ValueError, RecursionError) as fault:
            raise ConfigError(f"{path} is not valid JSON: {fault}") from None
    return content if isinstance(content, dict) else {}
