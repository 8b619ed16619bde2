"""Adapters on the disk: PEFT's folder, which also says by its fingerprint which base it belongs to."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from chainrule.base import (
    SUMS,
    CheckpointError,
    ConfigError,
    disk_faults,
    settings_json,
    sums_of,
    write_json,
    write_sums,
)
from chainrule.checkpoint.listed import SEALED, check_listed, unlisted
from chainrule.checkpoint.load import Checkpoint, load_weights
from chainrule.checkpoint.peft_format import TRAINED_ROWS, from_peft, to_peft
from chainrule.checkpoint.tensors import read_metadata, read_tensors, write_tensors
from chainrule.model import (
    DEFAULT_ADAPTER,
    GPT,
    LoraSettings,
    adapters_of,
    add_lora,
    base_tensors,
    is_packed,
    row_tensors,
)

SETTINGS = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
# The word in the weights' file under which the fingerprint stands; PEFT reads past it.
BASE = "chainrule_base_sha256"
# Files of a checkpoint that holds an adapter and no whole model: as PEFT calls it, and rows of the embeddings.
ADAPTER_STEM, ROWS_STEM = "adapter_model", "rows"


@dataclass(frozen=True)
class AdapterFacts:
    """What a checkpoint with an adapter says in its state of the model that it stands on."""

    base: str
    """As `open_model` takes it."""
    step: int | None
    """Of the base's checkpoint, when it is a run of ours."""
    sha256: str
    n_known: int
    """Entries of the base's vocabulary; rows of later ones lie beside the adapter."""

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """Raises CheckpointError when it says nothing of the kind."""
        try:
            return cls(**checkpoint.state["adapter"])
        except (KeyError, TypeError):
            raise CheckpointError(f"{checkpoint.path} holds an adapter and does not say for which base") from None

    def state(self) -> dict[str, Any]:
        """As it stands in a checkpoint's state."""
        return {"adapter": asdict(self)}


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
            write_tensors(stream, tensors, {"format": "pt", BASE: base_fingerprint(model), SEALED: SUMS})
        # Last: without it nobody takes the folder for an adapter.
        write_json(folder / SETTINGS, settings)
        write_sums(folder, sums_of(folder, (SETTINGS, WEIGHTS)))


def put_adapter(model: GPT, folder: Path, *, name: str = DEFAULT_ADAPTER) -> None:
    """Puts an adapter from the disk on the model, and uses it.

    Raises CheckpointError when it was made for another base, with both fingerprints (a folder that others saved names
    none, and is judged by names and shapes), when it is damaged, or asks for what is not computed here; ConfigError for
    a base whose weights are packed.
    """
    if is_packed(model):
        raise ConfigError(
            f"an adapter stands on full weights, and these are packed; put {folder} on the model before that"
        )
    config = read_adapter_settings(folder)
    check_listed(folder)
    if made_for := read_metadata(folder / WEIGHTS).get(BASE):
        check_base(model, made_for, str(folder))
    settings, tensors = from_peft(model, config, read_tensors(folder / WEIGHTS))
    add_lora(model, settings, name=name)
    load_adapter(model, tensors, name)


def unlisted_adapter(folder: Path) -> tuple[str, ...]:
    """A sentence where the folder's list of checksums is gone."""
    return unlisted(folder, read_metadata(folder / WEIGHTS))


def saved_adapter(model: GPT, checkpoint: Checkpoint) -> tuple[LoraSettings, dict[str, Tensor]]:
    """The settings and the tensors of the adapter that a checkpoint holds, for a model of its shape."""
    # The rows, which PEFT would have to look for in its own place, lie in ours.
    words = {**read_adapter_settings(checkpoint.path), TRAINED_ROWS: None}
    return from_peft(model, words, checkpoint.tensors(ADAPTER_STEM))


def saved_rows(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """The rows of embeddings that learnt beside the adapter, by the table's name; mostly none."""
    return checkpoint.tensors(ROWS_STEM) if ROWS_STEM in checkpoint.stems else {}


@torch.no_grad()
def load_saved_adapter(model: GPT, checkpoint: Checkpoint) -> None:
    """Gives the adapter in use, and rows that learn, what the checkpoint holds; raises CheckpointError on a misfit."""
    load_adapter(model, saved_adapter(model, checkpoint)[1])
    learning, saved = row_tensors(model), saved_rows(checkpoint)
    for name in learning:
        if name not in saved or saved[name].shape != learning[name].shape:
            raise CheckpointError(f"{checkpoint.path} has no fitting rows of {name} beside its adapter")
        learning[name].copy_(saved[name])


def check_base(model: nn.Module, made_for: str, adapter: str) -> None:
    """Raises CheckpointError, with both fingerprints, unless the model is the base that the adapter was made for."""
    found = base_fingerprint(model)
    if made_for != found:
        raise CheckpointError(
            f"{adapter} was made for another base: for the one with fingerprint {made_for[:16]}…, and this one has "
            f"{found[:16]}…. Give the model that it was trained on"
        )


def load_adapter(model: nn.Module, tensors: Mapping[str, Tensor], name: str | None = None) -> None:
    """Copies what `adapter_tensors` gave into an adapter; raises CheckpointError when names, shapes or types differ."""
    adapters = adapters_of(model, name)
    left = dict(tensors)
    for place, adapter in adapters.items():
        mine = {key: left.pop(f"{place}.{key}") for key in adapter.state_dict() if f"{place}.{key}" in left}
        load_weights(adapter, mine, f"the adapter's {place}")
    if left:
        raise CheckpointError(f"the adapter has {next(iter(left))}, for which this one has no place")


def read_adapter_settings(folder: Path) -> Mapping[str, Any]:
    """What adapter_config.json says; raises CheckpointError when it is not there, or no JSON object."""
    path = folder / SETTINGS
    with disk_faults(path, "reading"):
        try:
            content = settings_json(path)
        except FileNotFoundError:
            raise CheckpointError(f"{folder} is no adapter: it has no {SETTINGS}") from None
        except (ValueError, RecursionError) as fault:
            raise CheckpointError(f"{path} is not valid JSON: {fault}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return content
