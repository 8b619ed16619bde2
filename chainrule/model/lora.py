"""LoRA around a model that knows nothing of it: adapters are put on, chosen, taken out as tensors, and merged."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from chainrule.base import ConfigError, nearest
from chainrule.model.gpt import GPT
from chainrule.model.lora_linear import Adapter, LoraLinear
from chainrule.model.lora_settings import LoraSettings, adapted_spans
from chainrule.model.new_rows import GrownEmbedding, GrownHead, NewRows

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
DEFAULT_ADAPTER = "default"


def add_lora(model: GPT, settings: LoraSettings, seed: int = 0, *, name: str = DEFAULT_ADAPTER) -> None:
    """Puts an adapter around the linear layers of all blocks and lets it alone learn; it computes from now on.

    The logits are equal to the last bit until it has learnt something (B is zero). Other adapters stay on the model,
    unused: `use_adapter`. Embeddings, norms and head are frozen, so tied embeddings stay tied. Raises ConfigError for a
    name that is taken or no word, and for targets that the model does not have.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is no name of an adapter; use letters, digits, - and _")
    if name in adapter_names(model):
        raise ConfigError(f"the model has an adapter {name!r} already; give another name, or use that one")
    spans = adapted_spans(model.config, settings.targets)
    dice = torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    for block in model.blocks:
        for target, rows in spans.items():
            layer = _wrapped(block, target)
            if settings.rank > layer.in_features:
                raise ConfigError(
                    f"rank={settings.rank} is more than {target} has inputs ({layer.in_features}), which nothing is "
                    "gained by; 4 to 64 are usual"
                )
            layer.adapters[name] = Adapter(layer, settings, rows, dice)
    use_adapter(model, name)


@torch.no_grad()
def begin_adapter(model: GPT) -> None:
    """Begins what follows from the base anew, for a base that got its weights after the adapter in use was put on.

    With DoRA that is the rows' norms; of new rows (`learn_rows`) all.
    """
    for place, adapter in adapters_of(model).items():
        adapter.begin(_layers(model)[place].weight)
    for table in _tables(model).values():
        table.begin()


def learn_rows(model: GPT, first: int, count: int) -> None:
    """Lets the rows of the ids first … first + count - 1 learn, in the embedding and in a head of its own.

    For control tokens that a vocabulary got: beside an adapter, which leaves embeddings alone.
    """
    table = model.token_embedding
    model.token_embedding = GrownEmbedding(table, first, count)
    table.weight.requires_grad_(False)
    if isinstance(model.head, nn.Linear):
        model.head.weight.requires_grad_(False)
        model.head = GrownHead(model.head, first, count)


def row_tensors(model: nn.Module) -> dict[str, Tensor]:
    """What `learn_rows` lets learn, by the name of the table's weight; shares the model's memory."""
    return {f"{place}.weight": table.rows.detach() for place, table in _tables(model).items()}


def use_adapter(model: nn.Module, name: str | None) -> None:
    """Which adapter computes from now on, in every call; None: none, the base alone. Raises ConfigError for another."""
    names = adapter_names(model)
    if name is not None and name not in names:
        known = f"it has {', '.join(names)}" if names else "it has none"
        raise ConfigError(f"the model has no adapter {name!r}: {known}.{nearest(name, names)}")
    for layer in _layers(model).values():
        # An adapter may stand on fewer layers than another.
        layer.active = name if name and name in layer.adapters else None
    for table in _tables(model).values():
        table.active = name is not None


def adapter_in_use(model: nn.Module) -> str | None:
    """The adapter that computes; None when it is the base alone."""
    return next((layer.active for layer in _layers(model).values() if layer.active), None)


def adapter_names(model: nn.Module) -> list[str]:
    """The adapters that stand on the model, in the order in which they came."""
    return list(dict.fromkeys(name for layer in _layers(model).values() for name in layer.adapters))


@contextmanager
def without_adapter(model: nn.Module) -> Iterator[None]:
    """Inside, the base computes alone: the reference of a preference objective, with no second model in memory."""
    used = adapter_in_use(model)
    use_adapter(model, None)
    try:
        yield
    finally:
        use_adapter(model, used)


def adapter_settings(model: nn.Module, name: str | None = None) -> LoraSettings:
    """The settings of an adapter (None: the one in use)."""
    return next(iter(adapters_of(model, name).values())).settings


def adapters_of(model: nn.Module, name: str | None = None) -> dict[str, Adapter]:
    """The parts of an adapter (None: the one in use) by the layer's name; raises ConfigError when there is none."""
    chosen = adapter_in_use(model) if name is None else name
    found: dict[str, Adapter] = {}
    for place, layer in _layers(model).items():
        part = dict(layer.adapters).get(chosen or "")
        if isinstance(part, Adapter):
            found[place] = part
    if not found:
        raise ConfigError(f"the model has no adapter {chosen!r}" if chosen else "no adapter of the model is in use")
    return found


def adapter_tensors(model: nn.Module, name: str | None = None) -> dict[str, Tensor]:
    """All that an adapter has learnt, under "blocks.0.attention.out.down" and the like; shares the model's memory."""
    return {
        f"{place}.{key}": tensor
        for place, adapter in adapters_of(model, name).items()
        for key, tensor in adapter.state_dict().items()
    }


def base_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The tensors of the model without its adapters, under the names that they have in a bare one."""
    parts = {
        f"{place}.adapters.{name}.{key}"
        for name in adapter_names(model)
        for place, adapter in adapters_of(model, name).items()
        for key in adapter.state_dict()
    }
    parts |= {f"{place}.rows" for place in _tables(model)}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in parts}


def merge_lora(model: nn.Module, name: str | None = None) -> None:
    """Adds an adapter (None: the one in use) into the weights; the model is a plain one again, whose weights all learn.

    Rows that learnt beside it become the tables' own.

    Other adapters are taken off: they were made for the base that the model no longer is. The base's weights are
    written over. Raises ConfigError when there is no such adapter.
    """
    adapters = adapters_of(model, name)
    for place, layer in _layers(model).items():
        if place in adapters:
            with torch.no_grad():
                layer.weight.copy_(adapters[place].merged(layer.weight))
        model.set_submodule(place, layer.plain())
    for place, table in _tables(model).items():
        with torch.no_grad():
            table.weight.copy_(table.whole())
        model.set_submodule(place, table.plain())
    model.requires_grad_(True)


def _wrapped(block: nn.Module, target: str) -> LoraLinear:
    """The layer of that name, which can carry adapters from now on."""
    layer = block.get_submodule(target)
    if isinstance(layer, LoraLinear):
        return layer
    if not isinstance(layer, nn.Linear):
        raise ConfigError(f"{target} is a {type(layer).__name__}; adapters go around linear layers of plain weights")
    wrapped = LoraLinear(layer)
    block.set_submodule(target, wrapped)
    return wrapped


def _tables(model: nn.Module) -> dict[str, NewRows]:
    return {place: table for place, table in model.named_modules() if isinstance(table, NewRows)}


def _layers(model: nn.Module) -> dict[str, LoraLinear]:
    return {place: layer for place, layer in model.named_modules() if isinstance(layer, LoraLinear)}
