"""Ways out of autograd that a program asks for: `.tolist()`, which is no operation of torch, `.detach()` and `.data`.

Of these last autograd makes some for itself.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

DATA = Tensor.data.__get__  # type: ignore[attr-defined]
Call = Callable[[], Any]


class Escapes(TorchFunctionMode):
    """Hands each to one who knows what to do: `detached(call)`, if there is one, and `listed(tensor, call)`."""

    def __init__(self, detached: Callable[[Call], Tensor] | None, listed: Callable[[Tensor, Call], Any]) -> None:
        super().__init__()
        self.detached, self.listed = detached, listed

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "tolist" and args and isinstance(args[0], Tensor):
            return self.listed(args[0], lambda: func(*args, **kwargs))
        if self.detached is not None and (name == "detach" or func == DATA):
            return self.detached(lambda: func(*args, **kwargs))
        return func(*args, **kwargs)
