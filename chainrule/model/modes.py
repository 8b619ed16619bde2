"""Evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout is off inside; a model in training goes on training afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
