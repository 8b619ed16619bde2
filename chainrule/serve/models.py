"""The models of one server: a base, and adapters on it, each under the name by which requests ask for it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from chainrule.base import ConfigError
from chainrule.checkpoint import OpenedModel, adapted_beside
from chainrule.tokenizer import load_template

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")


def named_models(opened: OpenedModel, name: str | None, adapters: Mapping[str, Path]) -> dict[str, OpenedModel]:
    """The base under its name (None: the last word of its origin), and each adapter, which shares the base's weights.

    An adapter that comes with a chat template of its own answers by it. Raises ConfigError for a name that is taken or
    none, CheckpointError for an adapter that was made for another base.
    """
    base = name or opened.origin.replace("\\", "/").rstrip("/").rpartition("/")[2]
    found = {base: opened}
    for word, folder in adapters.items():
        if not NAME.fullmatch(word):
            raise ConfigError(f"{word!r} is no name of an adapter; use letters, digits and . _ : / -, at most 100")
        if word == base:
            raise ConfigError(f"the adapter {folder} has the base's name {base!r}; give it another: NAME=FOLDER")
        adapted = adapted_beside(opened, folder)
        own = load_template(folder, opened.tokenizer)
        known = opened.template.source if opened.template else None
        found[word] = replace(adapted, template=own) if own and own.source != known else adapted
    return found
