"""One token of a text: the chain rule of its probability, by depth of the model and by place of the text.

Not among the ledgers, which know no model: whoever loads those (the demo of one neuron) need not load one.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from chainrule.base import LensError, bytes_text, count_text, usable_memory
from chainrule.lens.engine import ReverseStep, reverse
from chainrule.lens.ledgers import Depth, TokenLook, ancestor
from chainrule.lens.tape import Subject, Tape
from chainrule.model import GPT, IGNORED, is_packed

# Weights, their gradients and what the rules make on the way; measured 2.1 GB for 135M parameters in float32.
COPIES = 4
MEMORY_SHARE = 0.5


def subject_of_token(model: GPT, ids: Sequence[int]) -> Subject:
    """The loss of the last of `ids` after the others, ready to record; raises LensError where that cannot be."""
    if len(ids) < 2:
        raise LensError("a token is looked at after another; give at least 2 ids")
    if not all(0 <= token < model.config.vocab_size for token in ids):
        raise LensError(f"ids are 0 to {model.config.vocab_size - 1}, the entries of the model's vocabulary")
    if len(ids) - 1 > model.config.context_length:
        raise LensError(f"{len(ids) - 1} tokens are more than the context of {model.config.context_length}")
    _check_weights(model)
    device = model.token_embedding.weight.device
    targets = torch.full((1, len(ids) - 1), IGNORED, device=device)
    targets[0, -1] = ids[-1]
    return Subject("the loss of one token", model.loss, (torch.tensor([ids[:-1]], device=device), targets))


def look_at_token(model: GPT, ids: Sequence[int]) -> TokenLook:
    """How the probability of the last of `ids`, after the others, hangs on the places before it and on the weights.

    By the lens's own rules. Raises LensError for ids that are none, and for a model whose weights are packed or too
    many for the memory here.
    """
    tape = subject_of_token(model, ids).record()
    arrivals, last = {}, _last_of_modules(tape)

    def each(step: ReverseStep) -> None:
        module, gradient = last.get(step.node.id), step.incoming[0]
        if module is not None and gradient is not None and gradient.dim() == 3:
            arrivals[module] = tuple(gradient[0].double().norm(dim=-1).tolist())

    gradients = reverse(tape, each)
    received = {tape.values[value].name: gradient for value, gradient in gradients.items()}
    squares = {name: float(gradient.double().square().sum()) for name, gradient in received.items()}
    depths = tuple(_depth(module, arrives, squares, received) for module, arrives in arrivals.items())
    assert tape.loss is not None, "the loss of a model is a number"
    loss = tape.values[tape.loss].tensor
    assert loss is not None, "all tensors were kept"
    return TokenLook(tuple(ids), -float(loss.detach()), depths, math.sqrt(sum(squares.values())), len(tape.nodes))


def _check_weights(model: GPT) -> None:
    if is_packed(model):
        raise LensError("this model's weights are packed for writing, and have no gradient; open it with whole weights")
    n = sum(weight.numel() for weight in model.parameters())
    needed, room = COPIES * sum(weight.nbytes for weight in model.parameters()), MEMORY_SHARE * usable_memory()
    if needed > room:
        raise LensError(
            f"the gradients of {count_text(n)} weights take {bytes_text(needed)}, more than half of the memory here; "
            "look at a smaller model"
        )


def _last_of_modules(tape: Tape) -> dict[int, str]:
    """By its number, the operation that makes what a module of the outermost level hands on."""
    last = {ancestor(node.module, 1): node.id for node in tape.nodes if node.module}
    return {node: module for module, node in last.items()}


def _depth(module: str, arrives: tuple[float, ...], squares: dict[str, float], weights: dict[str, Tensor]) -> Depth:
    own = [name for name in squares if ancestor(name, 1) == module]
    norm, n_weights = math.sqrt(sum(squares[name] for name in own)), sum(weights[name].numel() for name in own)
    return Depth(module, arrives, norm, n_weights)
