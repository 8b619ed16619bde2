"""Models with adapters on them, from a base and folders."""

from dataclasses import replace
from pathlib import Path

import torch

from chainrule.checkpoint.adapter import put_adapter, unlisted_adapter
from chainrule.checkpoint.open import OpenedModel, open_model
from chainrule.model import DEFAULT_ADAPTER, sharing, use_adapter


def open_adapted(base: str | Path | OpenedModel, *folders: Path, device: torch.device | str = "cpu") -> OpenedModel:
    """A model with adapters on it, ready to compute with the first of them; each is called after its folder.

    `base` is whatever `open_model` opens. `use_adapter` takes another of them, or none. Raises as `open_model` and
    `put_adapter` do, and ConfigError for two folders of one name.
    """
    opened = base if isinstance(base, OpenedModel) else open_model(base, device=device)
    for folder in folders:
        put_adapter(opened.model, folder, name=adapter_name(folder))
    if folders:
        use_adapter(opened.model, adapter_name(folders[0]))
    opened.model.eval()
    with_them = " and ".join(str(folder) for folder in folders)
    unchecked = (*opened.unchecked, *(said for folder in folders for said in unlisted_adapter(folder)))
    origin = f"{opened.origin}, with the adapter {with_them}"
    return replace(opened, origin=origin, unchecked=unchecked) if folders else opened


def adapted_beside(opened: OpenedModel, folder: Path) -> OpenedModel:
    """A model with the adapter on it, beside `opened`, which computes as before and whose weights both share.

    For writing: the shared weights no longer learn. Raises as `put_adapter` does.
    """
    model = sharing(opened.model)
    put_adapter(model, folder)
    unchecked, origin = (*opened.unchecked, *unlisted_adapter(folder)), f"{opened.origin}, with the adapter {folder}"
    return replace(opened, model=model.eval(), origin=origin, unchecked=unchecked)


def adapter_name(folder: Path) -> str:
    """What an adapter from that folder is called: the folder's last word, with - for what a name cannot hold."""
    letters = (letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in folder.name)
    return "".join(letters).strip("-_") or DEFAULT_ADAPTER
