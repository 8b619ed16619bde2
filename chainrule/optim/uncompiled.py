"""Optimizers of torch that are made and step without torch's compiler."""

import inspect
import sys
from collections.abc import Callable

import torch

# What torch wraps so that its compiler passes it over. At the first call of any of them the wrapper loads the compiler,
# to be told that nothing is compiled: 1 to 1.6 s of processor time and 850 modules before the first step of a run.
PASSED_OVER = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
KNOWN = "__dynamo_disable"
STEP = inspect.unwrap(torch.optim.AdamW.step)


def spare_compiler() -> None:
    """Puts into the wrappers' own memory what the compiler would: the function as it is. Where it is loaded, nothing.

    A torch that wraps in another way has nothing here that is known, and loads its compiler as before.
    """
    if "torch._dynamo" in sys.modules:
        return
    for name in PASSED_OVER:
        function = getattr(getattr(torch.optim.Optimizer, name), "__wrapped__", None)
        if function is not None and not hasattr(function, KNOWN):
            setattr(function, KNOWN, function)


class UncompiledAdamW(torch.optim.AdamW):
    """torch's AdamW, whose update is called without what surrounds it for the compiler: the same bits."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Moves all parameters that have a gradient."""
        STEP(self)
