"""A classifier on the disk: what it says of itself, its weights whole, and the tokenizer that reads texts for it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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
from chainrule.checkpoint import (
    SEALED,
    OpenedModel,
    base_fingerprint,
    build_model,
    check_listed,
    read_tensors,
    unlisted,
    write_tensors,
)
from chainrule.config import Layer, ModelConfig, resolve
from chainrule.finetune.adapter_checks import merged_copy
from chainrule.finetune.classifier import Classifier
from chainrule.finetune.classifier_report import ClassifierReport
from chainrule.model import adapter_names
from chainrule.tokenizer import Tokenizer, load_tokenizer

SETTINGS = "classifier.json"
WEIGHTS = "classifier.safetensors"
TOKENIZER = "tokenizer.json"
FORMAT = 1
MODEL, HEAD = "model.", "head."


@dataclass(frozen=True)
class SavedClassifier:
    """A classifier ready to tell labels, with the tokenizer that it learnt with; `origin` says where it came from."""

    classifier: Classifier
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    origin: str
    figures: Mapping[str, Any]
    """How it fared on texts that it had not seen: `ClassifierReport.row()`."""
    unchecked: tuple[str, ...] = ()
    """That it is taken as it stands though it was sealed once, in a sentence."""


def is_classifier(folder: str | Path) -> bool:
    """Whether the folder says that it is a classifier."""
    return (Path(folder) / SETTINGS).is_file()


def check_free(folder: Path) -> None:
    """Raises ConfigError when there is something already where a classifier is to be saved."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty; give the name of a new folder for the classifier")


def save_classifier(classifier: Classifier, base: OpenedModel, report: ClassifierReport, folder: Path) -> None:
    """Writes a classifier that was made of `base`; an adapter is merged, so that the folder needs nothing else.

    Raises ConfigError when `folder` exists and is not empty, DiskError when the disk refuses.
    """
    check_free(folder)
    model = merged_copy(classifier.model) if adapter_names(classifier.model) else classifier.model
    tensors = {f"{MODEL}{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"{HEAD}{name}": tensor for name, tensor in classifier.head.state_dict().items()}
    with disk_faults(folder, "saving a classifier to"):
        folder.mkdir(parents=True, exist_ok=True)
        base.tokenizer.save(folder / TOKENIZER)
        with (folder / WEIGHTS).open("xb") as stream:
            written = write_tensors(stream, tensors)
        settings = {
            "format": FORMAT,
            SEALED: SUMS,
            "labels": list(report.confusion.labels),
            "base": {"origin": base.origin, "sha256": base_fingerprint(base.model)},
            "weights_sha256": written,
            "tokenizer": base.tokenizer.fingerprint,
            "model": base.config.model_dump(mode="json"),
            "figures": report.row(),
        }
        # Last: without it nobody takes the folder for a classifier.
        write_json(folder / SETTINGS, settings)
        write_sums(folder, sums_of(folder, (SETTINGS, TOKENIZER, WEIGHTS)))


def open_classifier(folder: str | Path, *, device: torch.device | str = "cpu") -> SavedClassifier:
    """Opens what `classify` saved.

    Raises CheckpointError, by name, for what is no classifier, was cut or changed, or does not fit together.
    """
    folder = Path(folder)
    settings = _settings(folder)
    check_listed(folder, (SETTINGS,))  # of the other two it says itself what they are
    labels = _labels(folder, settings)
    tensors = read_tensors(folder / WEIGHTS)
    if _sha256(folder / WEIGHTS) != settings.get("weights_sha256"):
        raise CheckpointError(f"{folder / WEIGHTS} is not the file that {SETTINGS} speaks of: its checksum is another")
    tokenizer = load_tokenizer(folder / TOKENIZER)
    if tokenizer.fingerprint != settings.get("tokenizer"):
        raise CheckpointError(f"{folder / TOKENIZER} is not the tokenizer that the classifier learnt with")
    config = _config(folder, settings)
    ours = {name.removeprefix(MODEL): tensor for name, tensor in tensors.items() if name.startswith(MODEL)}
    model = build_model(config, ours, str(folder / WEIGHTS), device)
    classifier = Classifier(model, len(labels)).to(device).eval()
    _put_head(classifier, {name: one for name, one in tensors.items() if not name.startswith(MODEL)}, folder)
    figures = settings.get("figures")
    return SavedClassifier(
        classifier,
        tokenizer,
        labels,
        f"the classifier {folder}",
        figures if isinstance(figures, dict) else {},
        unlisted(folder, settings),
    )


def _settings(folder: Path) -> Mapping[str, Any]:
    path = folder / SETTINGS
    with disk_faults(path, "reading"):
        try:
            content = settings_json(path)
        except FileNotFoundError:
            raise CheckpointError(
                f"{folder} is no classifier: it has no {SETTINGS}. Teach one: chainrule classify MODEL rows.csv"
            ) from None
        except (ValueError, RecursionError) as fault:
            raise CheckpointError(f"{path} is not valid JSON: {fault}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not what this version writes (format {FORMAT}); it was made by another")
    return content


def _labels(folder: Path, settings: Mapping[str, Any]) -> tuple[str, ...]:
    given = settings.get("labels")
    labels = given if isinstance(given, list) else []
    if not all(isinstance(label, str) and label for label in labels) or not 2 <= len(labels) == len(set(labels)):
        raise CheckpointError(f"{folder / SETTINGS} has no list of labels, each once and at least two")
    return tuple(labels)


def _config(folder: Path, settings: Mapping[str, Any]) -> ModelConfig:
    given = settings.get("model")
    if not isinstance(given, dict):
        raise CheckpointError(f"{folder / SETTINGS} does not say the shape of its model")
    try:
        return resolve([Layer(str(folder / SETTINGS), {"model": given})]).config.model
    except ConfigError as fault:
        raise CheckpointError(f"{folder / SETTINGS} describes no model: {fault}") from None


def _put_head(classifier: Classifier, tensors: Mapping[str, Tensor], folder: Path) -> None:
    wanted = {f"{HEAD}{name}": tensor for name, tensor in classifier.head.state_dict().items()}
    for name, tensor in wanted.items():
        shape = list(tensors[name].shape) if name in tensors else None
        if shape != list(tensor.shape):
            found = f"has shape {shape}" if shape is not None else "is missing"
            raise CheckpointError(
                f"{folder}: {name} {found}; its {classifier.head.out_features} labels ask for {list(tensor.shape)}. "
                f"The labels in {SETTINGS} are not those of {WEIGHTS}"
            )
    if left := sorted(tensors.keys() - wanted.keys()):
        raise CheckpointError(f"{folder / WEIGHTS}: there is no place for {left[0]}")
    classifier.head.load_state_dict({name.removeprefix(HEAD): tensor for name, tensor in tensors.items()})


def _sha256(path: Path) -> str:
    with disk_faults(path, "reading"), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
