"""What a program asks of tensors that is no operation below autograd: `.tolist()`, `.detach()` and `.data`, a class.

Of `detach` autograd makes some for itself.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from chainrule.lens.tape.memory import is_plain

DATA = Tensor.data.__get__  # type: ignore[attr-defined]
Call = Callable[[], Any]


class Escapes(TorchFunctionMode):
    """Hands each to one who knows what to do: `detached(call)` and `listed(tensor, call)`.

    `reclassed(tensor)` is told of each result that has a subclass of Tensor as its class, at once, before anybody
    writes to it.
    """

    def __init__(
        self,
        listed: Callable[[Tensor, Call], Any],
        detached: Callable[[Call], Tensor] | None = None,
        reclassed: Callable[[Tensor], object] | None = None,
    ) -> None:
        super().__init__()
        self.listed, self.detached, self.reclassed = listed, detached, reclassed

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = self._asked(func, args, kwargs or {})
        if self.reclassed is not None and type(result) is not Tensor:
            for one in tree_leaves(result):
                if isinstance(one, Tensor) and not is_plain(one):
                    with torch._C.DisableTorchFunctionSubclass():
                        self.reclassed(one)
        return result

    def _asked(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = getattr(func, "__name__", "")
        if name == "tolist" and args and isinstance(args[0], Tensor):
            return self.listed(args[0], lambda: func(*args, **kwargs))
        if self.detached is not None and (name == "detach" or func == DATA):
            return self.detached(lambda: func(*args, **kwargs))
        return func(*args, **kwargs)
