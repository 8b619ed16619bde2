"""A session of turns with any model: a conversation where it has a chat template, else texts that it goes on with."""

from pathlib import Path
from typing import TypeAlias

from chainrule.checkpoint import OpenedModel
from chainrule.generate.chat import Chat, ChatSettings
from chainrule.generate.draft import Draft
from chainrule.generate.opening import opened
from chainrule.run import RUNS

Talk: TypeAlias = Chat | Draft


def talk(model: OpenedModel, settings: ChatSettings, *, system: str = "") -> Talk:
    """A session with an opened model. Raises ConfigError for a system prompt where there is no chat template."""
    if model.template is not None:
        return Chat(model, settings, system=system)
    draft = Draft(model, settings)
    draft.system = system
    return draft


def open_talk(
    source: str, device: str = "auto", *, settings: ChatSettings, system: str = "", runs_folder: Path = RUNS
) -> Talk:
    """A session with the model at `source` (see `opened`)."""
    return talk(opened(source, device, runs_folder=runs_folder), settings, system=system)
