"""Adapters on the disk: PEFT's folder, which also says by its fingerprint which base it belongs to."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from chainrule.base import CheckpointError, ConfigError, disk_faults, write_json
from chainrule.checkpoint import OpenedModel, open_model, read_metadata, read_tensors, write_tensors
from chainrule.finetune.adapter_checks import merged_copy
from chainrule.finetune.lora import DEFAULT, add_lora, base_tensors, load_adapter, use_adapter
from chainrule.finetune.peft_format import from_peft, to_peft
from chainrule.model import GPT, BFloat16Linear, FlatBlock, Int4Linear, Int8Linear, sharing

SETTINGS = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PACKED = (BFloat16Linear, FlatBlock, Int4Linear, Int8Linear)
# The word in the weights' file under which the fingerprint stands; PEFT reads past it.
BASE = "chainrule_base_sha256"


def base_fingerprint(model: nn.Module) -> str:
    """SHA-256 of the safetensors file of the model's tensors, its adapters apart.

    Tables that are computed (rotary positions) are no part of it.
    """
    with Path(os.devnull).open("wb") as nowhere:
        return write_tensors(nowhere, base_tensors(model))


def save_adapter(model: GPT, folder: Path, name: str | None = None, *, base: str = "") -> None:
    """Writes an adapter (None: the one in use) as PEFT reads it, with the fingerprint of its base.

    `base` says what it was made for: a name on the Hugging Face hub, or a folder. Raises ConfigError when `folder`
    exists and is not empty, DiskError when the disk refuses.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty; give the name of a new folder for the adapter")
    settings, tensors = to_peft(model, name, base=base)
    with disk_faults(folder, "saving an adapter to"):
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / WEIGHTS).open("xb") as stream:
            write_tensors(stream, tensors, {"format": "pt", BASE: base_fingerprint(model)})
        # Last: without it nobody takes the folder for an adapter.
        write_json(folder / SETTINGS, settings)


def put_adapter(model: GPT, folder: Path, *, name: str = DEFAULT) -> None:
    """Puts an adapter from the disk on the model, and uses it.

    Raises CheckpointError when it was made for another base, with both fingerprints (a folder that others saved names
    none, and is judged by names and shapes), when it is damaged, or asks for what is not computed here; ConfigError for
    a base whose weights are packed.
    """
    if any(isinstance(module, PACKED) for module in model.modules()):
        raise ConfigError(
            f"an adapter stands on full weights, and these are packed; put {folder} on the model before that"
        )
    config = _read_settings(folder)
    made_for, found = read_metadata(folder / WEIGHTS).get(BASE), base_fingerprint(model)
    if made_for and made_for != found:
        raise CheckpointError(
            f"{folder} was made for another base: for the one with fingerprint {made_for[:16]}…, and this one has "
            f"{found[:16]}…. Give the model that it was trained on"
        )
    settings, tensors = from_peft(model, config, read_tensors(folder / WEIGHTS))
    add_lora(model, settings, name=name)
    load_adapter(model, tensors, name)


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
    return replace(opened, origin=f"{opened.origin}, with the adapter {with_them}") if folders else opened


def adapted_beside(opened: OpenedModel, folder: Path) -> OpenedModel:
    """A model with the adapter on it, beside `opened`, which computes as before and whose weights both share.

    For writing: the shared weights no longer learn. Raises as `put_adapter` does.
    """
    model = sharing(opened.model)
    put_adapter(model, folder)
    return replace(opened, model=model.eval(), origin=f"{opened.origin}, with the adapter {folder}")


def open_merged(base: str | Path | OpenedModel, folder: Path) -> OpenedModel:
    """A plain model with the adapter in its weights, proved to compute the same (ExportError when it does not)."""
    opened = open_adapted(base, folder)
    return replace(opened, model=merged_copy(opened.model))


def adapter_name(folder: Path) -> str:
    """What an adapter from that folder is called: the folder's last word, with - for what a name cannot hold."""
    letters = (letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in folder.name)
    return "".join(letters).strip("-_") or DEFAULT


def _read_settings(folder: Path) -> Mapping[str, Any]:
    path = folder / SETTINGS
    with disk_faults(path, "reading"):
        try:
            content = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise CheckpointError(f"{folder} is no adapter: it has no {SETTINGS}") from None
        except (ValueError, RecursionError) as fault:
            raise CheckpointError(f"{path} is not valid JSON: {fault}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return content
