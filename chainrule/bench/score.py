"""The loss of any model of characters on the held-out tenth: one function, whoever trained the model."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from chainrule.base import UserError
from chainrule.bench import characters, nanogpt
from chainrule.bench.contest import Reading
from chainrule.checkpoint import open_model

CONTEXT, ROWS = 64, 64
Logits = Callable[[Int64[Tensor, "B T"]], Float[Tensor, "B T V"]]


def score(given: Mapping[str, Any]) -> Reading:
    """The mean loss in nats a character as the figure, of a run of ours or of nanoGPT's checkpoint."""
    text = Path(given["text"])
    held_out = characters.parts(text)[1]
    start, used = time.perf_counter(), time.process_time()
    if "ours" in given:
        opened = open_model(given["ours"])
        ids = opened.tokenizer.encode(held_out)
        loss = mean_loss(opened.model, torch.tensor(ids), len(held_out))
    else:
        loss = mean_loss(_nanogpt(given), _numbers(text, held_out), len(held_out))
    return Reading(loss, time.perf_counter() - start, time.process_time() - used, losses=(loss,))


@torch.inference_mode()
def mean_loss(logits_of: Logits, ids: Int64[Tensor, " N"], n_characters: int) -> float:
    """Mean nats over all windows of 64 that follow each other; every character but the first is predicted once.

    Raises UserError when the ids are not one for each character.
    """
    if len(ids) != n_characters:
        raise UserError(f"{len(ids)} ids for {n_characters} characters: the model's vocabulary is not of characters")
    total, n_windows = 0.0, (len(ids) - 1) // CONTEXT
    inputs = ids[: n_windows * CONTEXT].view(n_windows, CONTEXT)
    targets = ids[1 : n_windows * CONTEXT + 1].view(n_windows, CONTEXT)
    for first in range(0, n_windows, ROWS):
        rows = slice(first, first + ROWS)
        logits = logits_of(inputs[rows]).double().flatten(0, 1)
        total += torch.nn.functional.cross_entropy(logits, targets[rows].flatten(), reduction="sum").item()
    return total / targets.numel()


def _numbers(text: Path, held_out: str) -> Tensor:
    numbers = {letter: number for number, letter in enumerate(characters.letters_of(text))}
    return torch.tensor([numbers[letter] for letter in held_out])


def _nanogpt(given: Mapping[str, Any]) -> Logits:
    saved = torch.load(given["nanogpt"], map_location="cpu", weights_only=True)
    code = nanogpt.model_code(Path(given["peer"]))
    model = code.GPT(code.GPTConfig(**saved["model_args"]))
    model.load_state_dict(saved["model"])
    model.eval()
    # Without targets it computes the last place alone; the loss that it makes of these is not used.
    return lambda ids: model(ids, ids)[0]
