"""A second model out of the tensors of the first: no memory but for what is then replaced in it."""

from copy import copy
from typing import TypeVar

from torch import nn

M = TypeVar("M", bound=nn.Module)


def sharing(module: M) -> M:
    """A copy whose modules can be replaced without a trace in `module`; parameters and buffers are the same tensors."""
    made = copy(module)
    made._modules = {name: child and sharing(child) for name, child in module._modules.items()}
    made._parameters, made._buffers = dict(module._parameters), dict(module._buffers)
    return made
