"""The text of a batch that was out of line: which windows and which tokens surprise the model most."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from chainrule.data import Windows
from chainrule.model import GPT, evaluating, micro_batches
from chainrule.spike.replay import portions_of
from chainrule.tokenizer import Tokenizer
from chainrule.train import gradient_norms

MOST_TOKENS, CONTEXT_TOKENS, MOST_WINDOWS = 8, 12, 64


@dataclass(frozen=True)
class Surprise:
    """A token that the model did not expect: its loss in nats, and the text before it."""

    window: int
    place: int
    loss: float
    text: str
    before: str


def surprises(model: GPT, windows: Windows, tokenizer: Tokenizer, most: int = MOST_TOKENS) -> Iterator[Surprise]:
    """The tokens of the batch with the largest losses, the largest first; those that are not finite come before all."""
    losses = token_losses(model, windows)
    order = np.argsort(np.nan_to_num(losses, nan=np.inf, posinf=np.inf).ravel(), kind="stable")[::-1][:most]
    for flat in order:
        window, place = divmod(int(flat), losses.shape[1])
        ids = windows.ids[window]
        before = tokenizer.decode(ids[max(0, place + 1 - CONTEXT_TOKENS) : place + 1].tolist())
        yield Surprise(window, place, float(losses[window, place]), tokenizer.decode([int(ids[place + 1])]), before)


def window_losses(model: GPT, windows: Windows) -> NDArray[np.float32]:
    """Mean nats per token of each window."""
    mean: NDArray[np.float32] = token_losses(model, windows).mean(1)
    return mean


def window_gradients(model: GPT, windows: Windows) -> NDArray[np.float64]:
    """Norm of the gradient of each window by itself, of at most MOST_WINDOWS, in float32 and without dropout."""
    with evaluating(model):
        part = windows.some(slice(MOST_WINDOWS))
        found = []
        for portion in portions_of(part, 1):
            torch.autograd.backward(portion(model))
            found.append(float(torch.linalg.vector_norm(gradient_norms(model))) * len(part.ids))
            model.zero_grad(set_to_none=True)
    return np.array(found)


@torch.no_grad()
def token_losses(model: GPT, windows: Windows) -> Float32[np.ndarray, "B T"]:
    """Nats at each token, in float32 and without dropout, one window at a time."""
    with evaluating(model):
        device = str(next(model.parameters()).device)
        found = []
        for one in micro_batches(windows, 1, device):
            found.append(model.token_losses(one.inputs, one.targets, one.documents).float().cpu())
    return torch.cat(found).numpy()


def most_frequent(ids: Int64[np.ndarray, " T"]) -> tuple[int, float]:
    """The token that a window holds most often, and its share of the window."""
    tokens, counts = np.unique(ids, return_counts=True)
    place = int(counts.argmax())
    return int(tokens[place]), float(counts[place] / len(ids))
