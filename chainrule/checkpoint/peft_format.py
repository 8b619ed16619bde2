"""An adapter in the words of PEFT, both ways: its settings, and its tensors under Hugging Face's names.

Exact both ways, because an adapter here has the form that it has there: one A for queries, keys and values in GPT-2,
whose c_attn is one layer, and an A for each in the families where they are three.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from chainrule.base import CheckpointError, ConfigError
from chainrule.checkpoint.linears import linear_names
from chainrule.config import ModelConfig
from chainrule.model import GPT, LETTERS, QKV, LoraSettings, Span, adapted_spans, adapter_settings, adapters_of

PREFIX = "base_model.model."
# The word under which PEFT says which embeddings learn beside the adapter.
TRAINED_ROWS = "trainable_token_indices"
# Letters of a value that an error repeats.
LONGEST_SHOWN = 200
A, B, MAGNITUDE = "lora_A.weight", "lora_B.weight", "lora_magnitude_vector"
# What an adapter may say that changes what is computed, and that is not computed here: any other value is refused.
FIXED: Mapping[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    # The others (pissa, olora, corda, loftq …) take out of the base's weights what they put into the adapter.
    "init_lora_weights": (True, False, None, "gaussian", "orthogonal", "eva"),
    **dict.fromkeys(
        (
            *("modules_to_save", "rank_pattern", "alpha_pattern", "layers_to_transform", TRAINED_ROWS),
            *("layer_replication", "target_parameters", "lora_bias", "use_qalora", "use_bdlora"),
            *("alora_invocation_tokens", "arrow_config", "velora_config", "monteclora_config", "kasa_config"),
        ),
        (None, False, {}, []),
    ),
}


def to_peft(model: GPT, name: str | None = None, *, base: str = "") -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The adapter_config.json and the tensors of an adapter (None: the one in use); `base` says what it stands on."""
    settings, tensors = adapter_settings(model, name), dict[str, Tensor]()
    for place, adapter in adapters_of(model, name).items():
        rank, taken = settings.rank, 0
        for number, (span, theirs) in enumerate(_named(model.config, place, adapter.spans)):
            n_rows = span[1] - span[0]
            rows = slice(taken, taken + n_rows)
            tensors[f"{PREFIX}{theirs}.{A}"] = adapter.down.detach()[number * rank : (number + 1) * rank]
            tensors[f"{PREFIX}{theirs}.{B}"] = adapter.up.detach()[rows]
            if adapter.magnitude is not None:
                tensors[f"{PREFIX}{theirs}.{MAGNITUDE}"] = adapter.magnitude.detach()[rows]
            taken += n_rows
    return peft_words(model.config, settings, base), tensors


def from_peft(
    model: GPT, config: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> tuple[LoraSettings, dict[str, Tensor]]:
    """The settings and the tensors (as `load_adapter` takes them) of what PEFT saved for this model.

    Raises CheckpointError for what is not computed here, and for tensors that the model has no place for, by name.
    """
    settings = LoraSettings(**_read_settings(config), targets=_targets(model.config, tensors))
    left, ours = dict(tensors), dict[str, Tensor]()
    for layer in range(model.config.n_layers):
        for target, spans in adapted_spans(model.config, settings.targets).items():
            place = f"blocks.{layer}.{target}"
            linear = model.get_submodule(place)
            assert isinstance(linear, nn.Linear)
            parts = [
                _pair(left, theirs, span, linear.in_features, settings)
                for span, theirs in _named(model.config, place, spans)
            ]
            for key, *halves in zip(("down", "up", "magnitude"), *parts, strict=False):
                ours[f"{place}.{key}"] = torch.cat(halves)
    if left:
        raise CheckpointError(
            f"the adapter holds {next(iter(left))}, for which this model has no place: it is for another model, or "
            "adapts other layers than the linear ones of the blocks"
        )
    return settings, ours


def _pair(
    left: dict[str, Tensor], theirs: str, span: Span, n_inputs: int, settings: LoraSettings
) -> tuple[Tensor, ...]:
    """A, B and, with DoRA, the magnitudes of one of their layers, in float32."""
    rows = span[1] - span[0]
    wanted = {A: (settings.rank, n_inputs), B: (rows, settings.rank)} | ({MAGNITUDE: (rows,)} if settings.dora else {})
    found = list[Tensor]()
    for word, shape in wanted.items():
        key = f"{PREFIX}{theirs}.{word}"
        tensor = left.pop(key, None)
        if tensor is None:
            raise CheckpointError(f"the adapter lacks {key}; adapters of some layers alone are not read")
        if tensor.shape != shape:
            raise CheckpointError(
                f"the adapter's {key} has shape {list(tensor.shape)}, and this model asks for "
                f"{_shown(list(shape))}; it is for another model"
            )
        found.append(tensor.float())
    return tuple(found)


def _named(config: ModelConfig, place: str, spans: tuple[Span, ...]) -> Iterator[tuple[Span, str]]:
    """Each span of one of our layers with the name of theirs that has its rows."""
    _, layer, target = place.split(".", 2)
    names = linear_names(config, int(layer))[target]
    if len(names) == 1:
        return zip(spans, names, strict=True)
    starts = {start: name for (start, _), name in zip(_qkv(config), names, strict=True)}
    return ((span, starts[span[0]]) for span in spans)


def _qkv(config: ModelConfig) -> tuple[Span, ...]:
    return adapted_spans(config, (QKV,))[QKV]


def _targets(config: ModelConfig, tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Our names of the layers that the tensors are for, as the first block has them."""
    found = list[str]()
    for target, names in linear_names(config, 0).items():
        ours = (target,) if len(names) == 1 else LETTERS
        found += [word for word, theirs in zip(ours, names, strict=True) if f"{PREFIX}{theirs}.{A}" in tensors]
    if not found:
        known = next(iter(tensors), "nothing")
        raise CheckpointError(
            f"the adapter has nothing for the linear layers of this model's first block (but {known})"
        )
    return tuple(found)


def _read_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    for name, allowed in FIXED.items():
        if name in config and config[name] not in allowed:
            raise CheckpointError(
                f"adapter_config.json has {name} = {_shown(config[name])}, which is not computed here, so its results "
                f"would be wrong; allowed is {allowed[0]!r}"
            )
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if isinstance(rank, bool) or not isinstance(rank, int) or not _is_number(alpha):
        raise CheckpointError(
            f"adapter_config.json has r = {_shown(rank)} and lora_alpha = {_shown(alpha)}; they must be numbers"
        )
    try:
        LoraSettings(rank, alpha)
    # Whole numbers of JSON may be larger than any of a computation.
    except (ConfigError, OverflowError) as fault:
        raise CheckpointError(f"adapter_config.json: {fault}") from None
    flags = {"rslora": config.get("use_rslora") is True, "dora": config.get("use_dora") is True}
    return {"rank": rank, "alpha": float(alpha), **flags}


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= LONGEST_SHOWN else f"{shown[:LONGEST_SHOWN]}…"


def peft_words(config: ModelConfig, settings: LoraSettings, base: str = "", rows: Sequence[int] = ()) -> dict[str, Any]:
    """The adapter_config.json of an adapter; `rows` are ids whose embeddings learn beside it.

    PEFT then looks for these rows under its own name, and refuses what it would else compute without them.
    """
    spans = adapted_spans(config, settings.targets)
    modules = [name for target in spans for _, name in _named(config, f"blocks.0.{target}", spans[target])]
    # The last two words: "c_proj" alone would be the attention's and the feed-forward's.
    ends = dict.fromkeys(".".join(name.split(".")[-2:]) for name in modules)
    strength = settings.strength
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base or None,
        "inference_mode": True,
        "r": settings.rank,
        "lora_alpha": int(strength) if strength.is_integer() else strength,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": settings.rslora,
        "use_dora": settings.dora,
        "target_modules": list(ends),
        **({TRAINED_ROWS: list(rows)} if rows else {}),
        # Conv1D, which GPT-2 is made of in transformers, keeps its weights [in, out].
        "fan_in_fan_out": config.architecture == "gpt2",
    }
