"""An adapter that does nothing, or that becomes another model when it is merged, is found before it costs an evening.

Each was a silent fault somewhere: unsloth #869, #1804 and #3428, peft #1035, transformers #45127 (a tied head).
"""

import copy
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from chainrule.base import ExportError, TrainingError
from chainrule.checkpoint import OpenedModel, open_adapted
from chainrule.model import GPT, adapter_tensors, adapters_of, merge_lora, row_tensors, without_adapter

# Both sides compute in float32 and add up in different orders; for logits beyond 1 rounding grows with their size.
TOLERANCE = 1e-5


@torch.no_grad()
def check_neutral(model: GPT, ids: Int[Tensor, "B T"]) -> None:
    """Before the first step: the adapter in use adds nothing, to the last bit, and is there to learn.

    Raises TrainingError when the logits differ from the base's, or when something else learns, or the adapter does not.
    """
    adapted = logits_of(model, ids)
    with without_adapter(model):
        base = logits_of(model, ids)
    if not torch.equal(adapted, base):
        raise TrainingError(
            f"the new adapter already changes the logits, by up to {float((adapted - base).abs().max()):.2e}: its B is "
            "not zero, or the base is not the model that it was put around"
        )
    own = {tensor.data_ptr() for tensor in (*adapter_tensors(model).values(), *row_tensors(model).values())}
    learning = {name: one for name, one in model.named_parameters() if one.requires_grad}
    foreign = [name for name, one in learning.items() if one.data_ptr() not in own]
    if foreign:
        raise TrainingError(f"{foreign[0]} would learn beside the adapter; freeze the base (add_lora does)")
    if len(learning) < len(own):
        raise TrainingError(f"only {len(learning)} of the adapter's {len(own)} tensors would learn; set requires_grad")


@torch.no_grad()
def check_moved(model: GPT, ids: Int[Tensor, "B T"]) -> None:
    """After the first step: every layer's part has moved, and what it adds reaches the logits. Raises TrainingError."""
    inert = [place for place, adapter in adapters_of(model).items() if not float(adapter.up.norm()) > 0]
    if inert:
        raise TrainingError(
            f"after a step the adapter of {inert[0]} still adds nothing ({len(inert)} such layers): no gradient "
            "reaches it, or the optimizer does not have it"
        )
    adapted = logits_of(model, ids)
    with without_adapter(model):
        if torch.equal(adapted, logits_of(model, ids)):
            raise TrainingError("the adapter has moved, but the logits are the base's: it is not what computes")


@torch.no_grad()
def check_merge(merged: GPT, adapted: GPT, ids: Int[Tensor, "B T"]) -> float:
    """The largest difference of a logit between a merged model and the one with its adapter; raises ExportError.

    Also when the merged one is the base (nothing was merged), or when tied embeddings have come apart.
    """
    if (merged.head is None) != adapted.config.tied_embeddings:
        raise ExportError("merging changed whether head and embedding are tied; nothing is kept")
    ours, theirs = logits_of(merged, ids), logits_of(adapted, ids)
    allowed = TOLERANCE * max(1.0, float(theirs.abs().max()))
    difference = float((ours - theirs).abs().max())
    if not difference <= allowed:  # NaN is no equality
        with without_adapter(adapted):
            base = logits_of(adapted, ids)
        what = "is the base, without what was learnt" if torch.equal(ours, base) else "is another model"
        raise ExportError(
            f"the merged model {what}: logits differ from the adapter's by up to {difference:.2e}, rounding explains "
            f"{allowed:.2e}; nothing is kept"
        )
    return difference


def open_merged(base: str | Path | OpenedModel, folder: Path) -> OpenedModel:
    """A plain model with the adapter in its weights, proved to compute the same (ExportError when it does not)."""
    opened = open_adapted(base, folder)
    return replace(opened, model=merged_copy(opened.model))


def merged_copy(model: GPT) -> GPT:
    """A plain model that computes what `model` does with its adapter in use, proved on random ids; `model` stays.

    Raises ExportError when it does not.
    """
    merged = copy.deepcopy(model)
    merge_lora(merged)
    config = model.config
    dice = torch.Generator().manual_seed(0)
    device = model.token_embedding.weight.device
    ids = torch.randint(config.vocab_size, (2, min(64, config.context_length)), generator=dice).to(device)
    check_merge(merged, model, ids)
    return merged


def logits_of(model: GPT, ids: Int[Tensor, "B T"]) -> Tensor:
    """Logits without dropout; the model goes on training if it did."""
    was = model.training
    try:
        return model.eval()(ids)
    finally:
        model.train(was)
