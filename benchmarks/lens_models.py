"""Small models of the transformers library with something to compute, one for each line of lens_models.txt."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

LIST = Path(__file__).with_name("lens_models.txt")

# Whichever of these a configuration knows is set; what a class needs beside them stands in its line.
SMALL: dict[str, Any] = {
    "vocab_size": 61, "hidden_size": 16, "d_model": 16, "n_embd": 16, "embedding_size": 16, "intermediate_size": 24,
    "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "encoder_layers": 2, "decoder_layers": 2,
    "num_decoder_layers": 2, "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "num_heads": 4,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
    "encoder_ffn_dim": 24, "decoder_ffn_dim": 24, "d_ff": 24, "d_kv": 4, "ffn_dim": 24, "dim": 16, "hidden_dim": 24,
    "max_position_embeddings": 32, "n_positions": 32, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1, "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4,
    "num_experts_per_tok": 2, "moe_intermediate_size": 8, "image_size": 32, "patch_size": 8, "use_cache": False,
}  # fmt: skip
LARGEST = 20_000_000


# What is to be verified, what it is given, and how its result becomes one number where it does not say so itself.
Made = tuple[Callable[..., Any], dict[str, Any], Callable[[Any], Tensor] | None]


def models() -> Iterator[tuple[str, Callable[[], Made]]]:
    """The name of each line, and what builds the model and its inputs."""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, kind, *more = line.split(" | ")
            settings = more[0] if more else ""
            yield f"{name} {settings}".strip(), partial(model, name, kind, settings)


def model(name: str, kind: str, settings: str) -> Made:
    """The model, in training mode as the library builds it, with random weights; and what it is called with."""
    import transformers

    torch.manual_seed(0)
    cls = getattr(transformers, name)
    known = cls.config_class()
    given = {key: value for key, value in SMALL.items() if hasattr(known, key)}
    given |= eval(f"dict({settings})", {"torch": torch})
    config = cls.config_class(**{key: value for key, value in given.items() if value is not ...})
    made = cls(config)
    if sum(one.numel() for one in made.parameters()) > LARGEST:
        raise ValueError("the configuration does not become small")
    return made.train(), INPUTS[kind](config), LOSSES.get(kind)


def drawn(*shape: int) -> Tensor:
    """Fixed normal numbers."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def words() -> Tensor:
    """Two texts of nine words."""
    return torch.randint(3, 61, (2, 9), generator=torch.Generator().manual_seed(1))


def _masked(_config: Any) -> dict[str, Any]:
    ids, labels = words(), words().roll(1, 0)
    labels[:, ::2] = -100
    return {"input_ids": ids, "labels": labels}


def _series(config: Any) -> dict[str, Any]:
    n_past = config.context_length + max(config.lags_sequence)
    past, future = drawn(2, n_past).abs() + 0.1, drawn(2, config.prediction_length).abs() + 0.1
    return {
        "past_values": past, "past_time_features": drawn(2, n_past, config.num_time_features),
        "past_observed_mask": torch.ones(2, n_past), "future_values": future,
        "future_time_features": drawn(2, config.prediction_length, config.num_time_features),
    }  # fmt: skip


def _decisions(config: Any) -> dict[str, Any]:
    return {
        "states": drawn(2, 4, config.state_dim), "actions": drawn(2, 4, config.act_dim), "rewards": drawn(2, 4, 1),
        "returns_to_go": drawn(2, 4, 1), "timesteps": torch.arange(4).expand(2, 4),
        "attention_mask": torch.ones(2, 4),
    }  # fmt: skip


INPUTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "ids": lambda _config: {"input_ids": words(), "labels": words()},
    "masked": _masked,
    "classes": lambda _config: {"input_ids": words(), "labels": torch.tensor([0, 1])},
    "image": lambda _config: {"pixel_values": drawn(2, 3, 32, 32), "labels": torch.tensor([0, 1])},
    "pairs": lambda _config: {"input_ids": words(), "pixel_values": drawn(2, 3, 32, 32), "return_loss": True},
    "audio": lambda _config: {"input_values": drawn(2, 400), "labels": torch.tensor([0, 1])},
    "letters": lambda _config: {"input_values": drawn(2, 400), "labels": torch.tensor([[5, 7], [9, 9]])},
    "speech": lambda config: {"input_features": drawn(2, config.num_mel_bins, 16), "labels": words()},
    "decisions": _decisions,
    "series": _series,
}

LOSSES: dict[str, Callable[[Any], Tensor]] = {"decisions": lambda result: result.action_preds.square().mean()}
