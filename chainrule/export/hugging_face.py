"""A folder that AutoModelForCausalLM and AutoTokenizer load without custom code, proved before it gets its name."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError, disk_faults, write_bytes, write_json
from chainrule.checkpoint import OpenedModel, open_model, to_hugging_face, write_tensors
from chainrule.data import open_dataset
from chainrule.export.card import model_card, run_of
from chainrule.export.proof import ExportProof, prove
from chainrule.export.reference import require_transformers
from chainrule.export.tokenizer import write_tokenizer
from chainrule.export.unfinished import unfinished_folder
from chainrule.run import RunFolder

HELD_OUT_SEQUENCES = 4
HELD_OUT_TOKENS = 512


def export_hugging_face(source: str | Path, folder: Path) -> ExportProof:
    """Writes the model of `source` (whatever `open_model` opens) to `folder` and proves it against transformers.

    The folder holds model.safetensors (float32), config.json, generation_config.json, tokenizer.json,
    tokenizer_config.json and README.md. It appears only once transformers has loaded it and its ids, logits and greedy
    text were equal; otherwise nothing is left and ExportError says what differs. Raises ConfigError when `folder`
    exists and is not empty, MissingPackageError without transformers.
    """
    require_transformers()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty; give the name of a new folder")
    opened = open_model(source)
    run = run_of(Path(source))
    with disk_faults(folder, "exporting to"), unfinished_folder(folder) as unfinished:
        _write(opened, unfinished)
        found = prove(opened, unfinished, _held_out(run, opened))
        proof = replace(found, folder=folder, origin=opened.origin, passed_over=opened.passed_over)
        write_bytes(unfinished / "README.md", model_card(opened, proof, run).encode())
    return proof


def _write(opened: OpenedModel, folder: Path) -> None:
    settings, tensors = to_hugging_face(opened.config, opened.model.state_dict())
    end = opened.tokenizer.end_of_text
    ends = {"bos_token_id": end, "eos_token_id": end}
    write_json(folder / "config.json", {**settings, **ends})
    # Padding with end-of-text spares every user the warning that it is not set.
    write_json(folder / "generation_config.json", {**ends, "pad_token_id": end})
    with (folder / "model.safetensors").open("xb") as stream:
        write_tensors(stream, tensors, {"format": "pt"})  # transformers refuses a file without this word
    write_tokenizer(opened.tokenizer, folder / "tokenizer.json")
    write_json(folder / "tokenizer_config.json", _tokenizer_settings(opened, folder))


def _tokenizer_settings(opened: OpenedModel, folder: Path) -> dict[str, Any]:
    saved = json.loads((folder / "tokenizer.json").read_bytes())
    words = {number: word for word, number in saved["model"]["vocab"].items()}
    words |= {entry["id"]: entry["content"] for entry in saved["added_tokens"]}
    end = words[opened.tokenizer.end_of_text]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": opened.config.context_length,
        **{"bos_token": end, "eos_token": end, "pad_token": end},
        "clean_up_tokenization_spaces": False,
    }


def _held_out(run: RunFolder | None, opened: OpenedModel) -> Sequence[Sequence[int]]:
    """Stretches of the run's held-out text, evenly spread; none when its data was made elsewhere or is gone."""
    if run is None or not (run.data / "manifest.json").is_file():
        return []
    dataset = open_dataset(run.data, verify=False)
    if dataset.manifest.tokenizer != opened.tokenizer.fingerprint:
        return []
    store = dataset.split("validation")
    length = min(HELD_OUT_TOKENS, opened.config.context_length, store.n_tokens)
    last = store.n_tokens - length
    starts = [last * place // HELD_OUT_SEQUENCES for place in range(HELD_OUT_SEQUENCES)]
    return [store.read(start, length).tolist() for start in starts]
