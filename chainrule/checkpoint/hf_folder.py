"""A folder in Hugging Face's layout: config.json, tokenizer.json and safetensors, in one file or in several."""

from pathlib import Path
from typing import Any

from torch import Tensor

from chainrule.base import CheckpointError, disk_faults, settings_json
from chainrule.checkpoint.tensors import read_tensors

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
TOKENIZER = "tokenizer.json"


def read_settings(folder: Path) -> dict[str, Any]:
    """The config.json as a dict."""
    return _read_json(folder / "config.json")


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of the folder, from model.safetensors or from the files that its index names.

    Raises CheckpointError when a file or a tensor of the index is absent, or when there are only pickled weights, which
    can run any code when opened.
    """
    if (folder / WEIGHTS).is_file():
        return read_tensors(folder / WEIGHTS)
    if (folder / INDEX).is_file():
        return _read_parts(folder)
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".pkl"))
    if pickled:
        raise CheckpointError(
            f"{folder} has its weights only as {pickled[0]}, a pickle, which can run any code when it is opened; it is "
            'not read. If you trust it, convert it once: python -c "from transformers import AutoModelForCausalLM; '
            f"AutoModelForCausalLM.from_pretrained('{folder}').save_pretrained('{folder}')\""
        )
    raise CheckpointError(f"{folder} has a config.json but no weights: neither {WEIGHTS} nor {INDEX}")


def _read_parts(folder: Path) -> dict[str, Tensor]:
    places = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
        raise CheckpointError(f"{folder / INDEX} has no weight_map from tensor names to file names")
    tensors: dict[str, Tensor] = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{folder / INDEX} names {name!r}, which is not a file of this folder")
        tensors |= read_tensors(folder / name)
    if absent := sorted(places.keys() - tensors.keys()):
        raise CheckpointError(f"{folder} lacks {absent[0]}, which its {INDEX} promises in {places[absent[0]]}")
    return tensors


def _read_json(path: Path) -> dict[str, Any]:
    with disk_faults(path, "reading"):
        try:
            content = settings_json(path)
        except (ValueError, RecursionError) as fault:
            raise CheckpointError(f"{path} is not valid JSON: {fault}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return content
