"""The optimizer of a run: parts of its kind that step as one, with a state that a checkpoint holds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from chainrule.config import Config
from chainrule.optim.adamw import AdamW
from chainrule.optim.muon import MuonForMatrices
from chainrule.optim.uncompiled import spare_compiler


class Kind(Protocol):
    """A kind of optimizer with its settings."""

    def parts(self, parameters: Mapping[str, nn.Parameter], dtype: torch.dtype) -> Iterable[torch.optim.Optimizer]:
        """What moves the parameters, each of them in one part; a part's groups say their `peak` learning rate.

        `dtype` is the number format of matrix products inside the update.
        """
        ...


@runtime_checkable
class Begins(Protocol):
    """A part whose state is there before its first step."""

    def begin(self) -> None:
        """Sets the state to what it is before the first step, where it lies."""
        ...


# To add one: a file with its class, a line here, and a row in config/optimizers.py.
OPTIMIZERS: dict[str, Callable[[Config], Kind]] = {"adamw": AdamW.of, "muon": MuonForMatrices.of}

Around = Callable[[list[Tensor]], AbstractContextManager[object]]


class Optimizer:
    """All parts as one: step, learning rates, and a state that is tensors by parameter name.

    `dtype` is the number format of matrix products inside the update, which follows that of the run. What does not
    learn (requires_grad) is in no part.
    """

    def __init__(
        self,
        model: nn.Module,
        config: Config,
        dtype: torch.dtype = torch.float32,
        kinds: Mapping[str, Callable[[Config], Kind]] = OPTIMIZERS,
    ) -> None:
        spare_compiler()
        self.parameters = dict(model.named_parameters())
        learning = {name: one for name, one in self.parameters.items() if one.requires_grad}
        self.parts = list(kinds[config.optimizer.kind](config).parts(learning, dtype))

    def step(self, factor: float, around: Around | None = None) -> None:
        """One update at `factor` of the peak learning rates, a portion of the parameters after the other.

        `around` gives for each portion a context in which it moves.
        """
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = group["peak"] * factor
            moving = [parameter for group in part.param_groups for parameter in group["params"]]
            with around(moving) if around else nullcontext():
                part.step()

    def zero_grad(self) -> None:
        """Frees all gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def forget(self) -> None:
        """All is as before the first step: no gradients, no state but what is there from the beginning."""
        for part in self.parts:
            if isinstance(part, Begins):
                part.begin()
            else:
                part.state.clear()
        self.zero_grad()

    def state(self) -> dict[str, Tensor]:
        """Every tensor of the state under "parameter name:state name"; shares memory with the optimizer."""
        names = {id(parameter): name for name, parameter in self.parameters.items()}
        return {f"{names[id(p)]}:{key}": value for p, key, value in self._entries()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes the state that `state` gave; keys that belong to no parameter raise KeyError."""
        owners = {id(p): part for part in self.parts for group in part.param_groups for p in group["params"]}
        for where, tensor in tensors.items():
            name, _, key = where.rpartition(":")
            parameter = self.parameters[name]
            owner = owners[id(parameter)]
            # torch counts steps on the CPU, fused updates beside the parameter.
            device = tensor.device if key == "step" and not owner.defaults.get("fused") else parameter.device
            owner.state[parameter][key] = tensor.to(device).clone()

    def _entries(self) -> Iterator[tuple[Tensor, str, Tensor]]:
        for part in self.parts:
            for parameter, state in part.state.items():
                for key, value in state.items():
                    yield parameter, key, value
