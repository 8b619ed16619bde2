"""Which weight is moved by what."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from chainrule.config import Config
from chainrule.optim.muon import Muon


def parameter_groups(model: nn.Module, config: Config) -> dict[str, list[str]]:
    """The names of the parameters in each group; every one that learns (requires_grad) is in exactly one.

    - `stacked`: queries, keys and values of a block, stacked in one weight, for muon
    - `matrices`: the other matrices inside the blocks, for muon
    - `embeddings`: tokens, places and the head, for adamw with weight decay
    - `decayed`: all matrices of a run without muon, for adamw with weight decay
    - `plain`: norms and biases, for adamw without weight decay
    """
    groups: dict[str, list[str]] = {name: [] for name in ("stacked", "matrices", "embeddings", "decayed", "plain")}
    group_of = GROUPINGS[config.optimizer.kind]
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups["plain" if parameter.dim() < 2 else group_of(name)].append(name)
    return {group: names for group, names in groups.items() if names}


def _all_alike(_name: str) -> str:
    return "decayed"


def _matrices_apart(name: str) -> str:
    if not name.startswith("blocks."):
        return "embeddings"
    return "stacked" if name.endswith("attention.qkv.weight") else "matrices"


# Which group a matrix of that name is in; what moves a group is below.
GROUPINGS: dict[str, Callable[[str], str]] = {"adamw": _all_alike, "muon": _matrices_apart}


# Numbers of the parameters that move at once: 64 MiB, so that who measures the update copies no more than that or a
# single parameter.
PORTION_NUMBERS = 2**24
MUON_GROUPS, ADAMW_GROUPS = ("stacked", "matrices"), ("embeddings", "decayed", "plain")
Around = Callable[[list[Tensor]], AbstractContextManager[object]]


class Optimizer:
    """Muon and AdamW as one: step, learning rates, and a state that is tensors by parameter name.

    `dtype` is the number format of matrix products inside the update, which follows that of the run.
    """

    def __init__(self, model: nn.Module, config: Config, dtype: torch.dtype = torch.float32) -> None:
        self.parameters = dict(model.named_parameters())
        groups = parameter_groups(model, config)
        self.parts: list[torch.optim.Optimizer] = [
            *(_muon(portion, config, dtype) for portion in _portions(self.parameters, groups, MUON_GROUPS)),
            *(_adamw(portion, config) for portion in _portions(self.parameters, groups, ADAMW_GROUPS)),
        ]

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
        """All is as before the first step: no gradients, no state but momentum of zeros."""
        for part in self.parts:
            if isinstance(part, Muon):
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
        for key, tensor in tensors.items():
            name, _, kind = key.rpartition(":")
            parameter = self.parameters[name]
            device = tensor.device if kind == "step" and not _step_on_device(parameter) else parameter.device
            owners[id(parameter)].state[parameter][kind] = tensor.to(device).clone()

    def _entries(self) -> Iterator[tuple[Tensor, str, Tensor]]:
        for part in self.parts:
            for parameter, state in part.state.items():
                for key, value in state.items():
                    yield parameter, key, value


def _portions(
    parameters: Mapping[str, Tensor], groups: Mapping[str, list[str]], chosen: tuple[str, ...]
) -> Iterator[dict[str, list[Tensor]]]:
    """The parameters of the chosen groups, at most PORTION_NUMBERS numbers of them at a time or a single one."""
    portion: dict[str, list[Tensor]] = {}
    size = 0
    for group in chosen:
        for name in groups.get(group, ()):
            if size and size + parameters[name].numel() > PORTION_NUMBERS:
                yield portion
                portion, size = {}, 0
            portion.setdefault(group, []).append(parameters[name])
            size += parameters[name].numel()
    if portion:
        yield portion


def _muon(portion: Mapping[str, list[Tensor]], config: Config, dtype: torch.dtype) -> Muon:
    settings, model = config.optimizer, config.model
    rows = [heads * model.head_dim for heads in (model.n_heads, model.n_kv_heads, model.n_kv_heads)]
    chosen = [
        {"params": parameters, "peak": settings.muon_lr, "pieces": rows if group == "stacked" else None}
        for group, parameters in portion.items()
    ]
    return Muon(
        chosen, lr=settings.muon_lr, momentum=settings.momentum, weight_decay=settings.weight_decay, dtype=dtype
    )


def _adamw(portion: Mapping[str, list[Tensor]], config: Config) -> torch.optim.AdamW:
    settings = config.optimizer
    chosen = [
        {
            "params": parameters,
            "peak": settings.lr,
            "weight_decay": 0.0 if group == "plain" else settings.weight_decay,
        }
        for group, parameters in portion.items()
    ]
    return torch.optim.AdamW(
        chosen, lr=settings.lr, betas=(settings.beta1, settings.beta2), eps=settings.eps, fused=True
    )


def _step_on_device(parameter: Tensor) -> bool:
    """Fused AdamW keeps its step count beside the parameter."""
    return parameter.device.type != "cpu"
