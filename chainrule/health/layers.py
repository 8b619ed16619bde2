"""What counts as one layer of a model when its health is written down."""

from torch import nn

from chainrule.base import layer_of


def parameter_layers(model: nn.Module) -> dict[str, list[str]]:
    """The names of the parameters of each layer, in the model's order; a tied parameter counts where it came first."""
    found: dict[str, list[str]] = {}
    for name, _ in model.named_parameters():
        path = name.rpartition(".")[0]
        found.setdefault(layer_of(path) if path else name, []).append(name)
    return found


def watched_modules(model: nn.Module) -> list[str]:
    """The paths whose outputs tell how activations travel: every layer, and every block as a whole, in order.

    Containers without a forward pass of their own (ModuleList, ModuleDict) have no output and are left out.
    """
    layers = {layer_of(path) for path, module in model.named_modules() if path and not any(module.children())}
    blocks = {path for path, _ in model.named_modules() if path and path.rpartition(".")[2].isdigit()}
    silent = (nn.ModuleList, nn.ModuleDict, nn.Dropout, nn.Identity)
    return [
        path for path, module in model.named_modules() if path in layers | blocks and not isinstance(module, silent)
    ]
