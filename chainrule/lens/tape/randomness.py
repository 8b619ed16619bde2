"""Random numbers: where all generators that a program draws from stand, and how they are put back."""

import copy
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# A program's own generators.
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)


@dataclass(frozen=True)
class RandomState:
    """The state of the generators of torch (CPU and GPUs in use), of Python and of NumPy, when it was made.

    Also of the program's own (`own`): each with its state.
    """

    torch_cpu: Tensor = field(default_factory=torch.get_rng_state)
    torch_gpu: tuple[Tensor, ...] = field(default_factory=lambda: tuple(_gpu_states()))
    python: Any = field(default_factory=random.getstate)
    numpy: Any = field(default_factory=np.random.get_state)
    own: tuple[tuple[Any, Any], ...] = ()

    def restore(self) -> None:
        """Puts all of them back."""
        torch.set_rng_state(self.torch_cpu)
        if self.torch_gpu:
            torch.cuda.set_rng_state_all(list(self.torch_gpu))
        random.setstate(self.python)
        np.random.set_state(self.numpy)
        self.restore_own()

    def restore_own(self) -> None:
        """Puts the program's own generators back."""
        for generator, state in self.own:
            _set_state(generator, state)


def _gpu_states() -> list[Tensor]:
    in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return torch.cuda.get_rng_state_all() if in_use else []


def states_of(things: Iterable[Any], modules: Iterable[nn.Module]) -> tuple[tuple[Any, Any], ...]:
    """The generators among the things, and among the attributes of modules and of all in them, each with its state."""
    held = [one for module in modules for part in module.modules() for one in vars(part).values()]
    found = {id(one): one for one in [*things, *held] if isinstance(one, GENERATORS)}
    return tuple((one, _state(one)) for one in found.values())


def _state(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return copy.deepcopy(generator.bit_generator.state)
    return generator.getstate() if isinstance(generator, random.Random) else generator.get_state()


def _set_state(generator: Any, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


@contextmanager
def seeds_that_can_be_repeated() -> Iterator[None]:
    """Inside, `torch.seed()` takes its seed from where the generator stands and not from the machine's noise."""
    before = torch.seed, torch.random.seed

    def seed() -> int:
        # Knuth's multiplier and increment: another seed each time, the same after the state was put back.
        number = (torch.initial_seed() * 6364136223846793005 + 1442695040888963407) % 2**63
        torch.manual_seed(number)
        return number

    torch.seed = torch.random.seed = seed
    try:
        yield
    finally:
        torch.seed, torch.random.seed = before


@contextmanager
def same_random_numbers(state: RandomState) -> Iterator[None]:
    """Inside, random numbers begin at `state`; outside, everything goes on as if nothing had been drawn."""
    outside = RandomState()
    state.restore()
    try:
        yield
    finally:
        outside.restore()
