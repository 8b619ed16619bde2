"""Running the same thing again, exactly as the first time: random numbers and buffers are put back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from chainrule.base import LensError
from chainrule.lens.tape.subject import Subject


@dataclass(frozen=True)
class RandomState:
    """The state of the generators of torch (CPU and GPUs in use), of Python and of NumPy, when it was made."""

    torch_cpu: Tensor = field(default_factory=torch.get_rng_state)
    torch_gpu: tuple[Tensor, ...] = field(default_factory=lambda: tuple(_gpu_states()))
    python: Any = field(default_factory=random.getstate)
    numpy: Any = field(default_factory=np.random.get_state)

    def restore(self) -> None:
        """Puts all of them back."""
        torch.set_rng_state(self.torch_cpu)
        if self.torch_gpu:
            torch.cuda.set_rng_state_all(list(self.torch_gpu))
        random.setstate(self.python)
        np.random.set_state(self.numpy)


def _gpu_states() -> list[Tensor]:
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state_all() if in_use else []


@contextmanager
def same_random_numbers(state: RandomState) -> Iterator[None]:
    """Inside, random numbers begin at `state`; outside, everything goes on as if nothing had been drawn."""
    outside = RandomState()
    state.restore()
    try:
        yield
    finally:
        outside.restore()


@contextmanager
def same_buffers(modules: list[nn.Module]) -> Iterator[None]:
    """What the block does to buffers (the running statistics of batch norm) is undone at its end."""
    buffers = [buffer for module in modules for buffer in module.buffers()]
    before = [buffer.detach().clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, copy in zip(buffers, before, strict=True):
            buffer.data.copy_(copy)  # .data: a tape that holds the buffer does not take it for changed


class Forward:
    """The loss of a subject as a function of whatever lies in its weights: each call draws the same random numbers.

    To be called inside `same_random_numbers`, which puts those of the outside back once, at the end.
    """

    def __init__(self, subject: Subject, state: RandomState, modules: list[nn.Module]) -> None:
        self.subject, self.state, self.modules = subject, state, modules
        self.n_runs = 0

    def __call__(self) -> float:
        """The loss of one more run, without gradients."""
        self.n_runs += 1
        self.state.restore()
        with torch.no_grad(), same_buffers(self.modules):
            loss = self.subject.run()
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            raise LensError(f"{self.subject.name} returned no single number; pass loss=lambda output: …")
        return float(loss)
