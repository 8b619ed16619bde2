"""How often each weight of a model is brought into bfloat16."""

from collections import Counter

from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class Casts(TorchDispatchMode):
    """Counts by the parameter's name, while it is entered; torch's own casts, as autocast asks for them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {one.data_ptr(): name for name, one in model.named_parameters()}
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "_to_copy" in str(function) and str(kwargs["dtype"]) == "torch.bfloat16":
            name = self.names.get(args[0].data_ptr())
            self.counts.update(() if name is None else (name,))
        return function(*args, **(kwargs or {}))
