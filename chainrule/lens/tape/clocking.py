"""How long an operation took, as it ran."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What the call gives, and its seconds; of an accelerator those until it has finished."""
    start = time.perf_counter()
    result = call()
    if any(isinstance(one, Tensor) and one.device.type not in ("cpu", "meta") for one in tree_leaves(result)):
        torch.accelerator.synchronize()
    return result, time.perf_counter() - start
