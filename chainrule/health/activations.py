"""Inside a model on one piece of text: how large activations are, which units are dead, where heads look."""

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from chainrule.health.attention import watch_attention
from chainrule.health.layers import watched_modules

# A unit counts as silent where it stays below this share of its layer's root mean square. A ReLU's dead unit is exactly
# 0; those of GELU and SiLU fade out: below -4 GELU returns less than 0.00013, below -8 SiLU less than 0.003.
SILENT = 0.01


@dataclass(frozen=True)
class Activation:
    """The outputs of one module: mean, standard deviation, largest magnitude, share of exact zeros."""

    mean: float
    std: float
    largest: float
    zeros: float


@dataclass(frozen=True)
class Units:
    """Hidden units: the share that was silent for every token of the sample, and the share of silent values."""

    dead: float
    silent: float


@dataclass(frozen=True)
class Heads:
    """Attention of one layer: the normalised entropy of each head, and the largest logit of the sampled rows."""

    entropy: tuple[float, ...]
    largest_logit: float


@dataclass(frozen=True)
class Inside:
    """What one forward pass showed, by module path, in the model's order."""

    outputs: dict[str, Activation]
    units: dict[str, Units]
    attention: dict[str, Heads]


@torch.no_grad()
def look_inside(
    model: nn.Module,
    run: Callable[[], object],
    *,
    outputs: Iterable[str] | None = None,
    units: Iterable[str] = (),
) -> Inside:
    """Runs `run()`, which calls the model, and says what happened inside.

    `outputs` are the modules whose output is measured (default: every layer and block); `units` those whose *input*
    is a hidden layer after its activation function. Modules that are activation functions themselves (nn.ReLU, …) are
    found without being named. Attention is measured wherever `scaled_dot_product_attention` is called. Nothing is
    changed: hooks only read, and are gone afterwards. All numbers reach the CPU in one transfer.
    """
    modules = dict(model.named_modules())
    found: dict[tuple[str, str], Tensor] = {}

    def keep_output(path: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _module, _inputs, output: _keep(found, ("output", path), output, _spread)

    def keep_units(path: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, inputs: _keep(found, ("units", path), inputs, _silence)

    def keep_own_units(path: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _module, _inputs, output: _keep(found, ("units", path), output, _silence)

    with ExitStack() as hooks:
        for path in watched_modules(model) if outputs is None else outputs:
            hooks.callback(modules[path].register_forward_hook(keep_output(path)).remove)
        for path in units:
            hooks.callback(modules[path].register_forward_pre_hook(keep_units(path)).remove)
        for path, module in modules.items():
            if isinstance(module, ACTIVATIONS):
                hooks.callback(module.register_forward_hook(keep_own_units(path)).remove)
        heads = hooks.enter_context(watch_attention(model))
        run()
    found.update({("attention", path): numbers for path, numbers in heads.items()})
    return _told(found)


ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.LeakyReLU, nn.Softplus, nn.Hardswish)


def _keep(
    found: dict[tuple[str, str], Tensor], key: tuple[str, str], given: Any, measure: Callable[[Tensor], Tensor]
) -> None:
    """Measures the first floating-point tensor of what a hook was given; a later call of the module replaces it."""
    for one in given if isinstance(given, list | tuple) else (given,):
        if isinstance(one, Tensor) and one.is_floating_point() and one.numel():
            found[key] = measure(one.detach().float())
            return


def _spread(x: Tensor) -> Tensor:
    std, mean = torch.std_mean(x, correction=0)
    return torch.stack((mean, std, x.abs().amax(), (x == 0).float().mean()))


def _silence(x: Tensor) -> Tensor:
    """Units are the last axis; every other axis counts as a token."""
    flat = x.reshape(-1, x.shape[-1]).abs()
    quiet = flat <= SILENT * flat.square().mean().sqrt()
    return torch.stack((quiet.all(0).float().mean(), quiet.float().mean()))


def _told(found: dict[tuple[str, str], Tensor]) -> Inside:
    numbers = torch.cat([one.float() for one in found.values()]).tolist() if found else []
    told: dict[str, dict[str, list[float]]] = {"output": {}, "units": {}, "attention": {}}
    start = 0
    for (kind, path), tensor in found.items():
        told[kind][path] = numbers[start : start + len(tensor)]
        start += len(tensor)
    return Inside(
        {path: Activation(*four) for path, four in told["output"].items()},
        {path: Units(*two) for path, two in told["units"].items()},
        {path: Heads(tuple(n[:-1]), n[-1] if n else math.nan) for path, n in told["attention"].items()},
    )
