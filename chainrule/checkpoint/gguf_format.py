"""GPT-2, Llama, Qwen2 and Qwen3 in the words of llama.cpp: settings in a GGUF's metadata, names and order of weights.

The names are those of llama.cpp's converter (gguf-py's tensor_mapping.py). Rotary pairs: llama.cpp turns component 2i
together with 2i + 1 in its architecture "llama", so its converter reorders the rows of queries and keys; in "qwen2" and
"qwen3" it turns i with i + K/2, as transformers and this model do, and nothing is reordered.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.base import CheckpointError
from chainrule.checkpoint.foreign import LARGEST_SETTING, LONGEST_CONTEXT, NAMES_SHOWN
from chainrule.checkpoint.gguf_header import GgufHeader
from chainrule.checkpoint.gguf_rope import FREQUENCIES, rope_freqs
from chainrule.config import ModelConfig

OUTSIDE = {"token_embedding": "token_embd", "position_embedding": "position_embd", "final_norm": "output_norm"}
OUTSIDE |= {"head": "output"}
INSIDE = {
    "attention_norm": "attn_norm",
    "attention.out": "attn_output",
    "attention.q_norm": "attn_q_norm",
    "attention.k_norm": "attn_k_norm",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "drop_rate": 0.0}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": {"qkv_bias": True, "bias": True, "drop_rate": 0.1},
    "llama": MODERN,
    "qwen2": MODERN | {"qkv_bias": True},
    "qwen3": MODERN | {"qk_norm": True},
}
# Settings that change what is computed, each with the values (and absence) under which nothing is changed.
UNCHANGED: dict[str, tuple[Any, ...]] = {
    "expert_count": (0,),
    "attention.sliding_window": (0,),
    "attention.scale": (0.0,),
    "attention.causal": (True,),
    "use_parallel_residual": (True, False),
    "rope.scaling.attn_factor": (0.0, 1.0),
    "logit_scale": (0.0, 1.0),
    "residual_scale": (0.0, 1.0),
    "embedding_scale": (0.0, 1.0),
    "final_logit_softcapping": (0.0,),
    "attn_logit_softcapping": (0.0,),
}


@dataclass(frozen=True)
class Piece:
    """A tensor of a GGUF that is some rows of one of ours; `heads` is the number of those whose rows are reordered."""

    name: str
    shape: tuple[int, ...]
    heads: int = 0

    def ours(self, theirs: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The rows in our order: of each head first the first halves of the pairs, then the second."""
        return _regrouped(theirs, self.heads, (-1, 2)) if self.heads else theirs

    def theirs(self, ours: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The rows in llama.cpp's order: the two of a pair side by side."""
        return _regrouped(ours, self.heads, (2, -1)) if self.heads else ours


def _regrouped(rows: Float[Tensor, "R ..."], heads: int, pairs: tuple[int, int]) -> Float[Tensor, "R ..."]:
    return rows.reshape(heads, *pairs, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def pieces(config: ModelConfig, ours: str, shape: tuple[int, ...]) -> list[Piece]:
    """The tensors of a GGUF that are one of ours, stacked by rows."""
    layer, _, kind = ours.rpartition(".")
    if not layer.startswith("blocks."):
        return [Piece(f"{OUTSIDE[layer]}.{kind}", shape)]
    _, number, inside = layer.split(".", 2)
    if inside != "attention.qkv":
        return [Piece(f"blk.{number}.{INSIDE[inside]}.{kind}", shape)]
    if config.architecture == "gpt2":
        return [Piece(f"blk.{number}.attn_qkv.{kind}", shape)]
    reordered = config.architecture == "llama"
    heads = {"q": config.n_heads, "k": config.n_kv_heads, "v": config.n_kv_heads}
    return [
        Piece(
            f"blk.{number}.attn_{letter}.{kind}",
            (count * config.head_dim, *shape[1:]),
            count if reordered and letter != "v" else 0,
        )
        for letter, count in heads.items()
    ]


def config_from_gguf(header: GgufHeader) -> dict[str, Any]:
    """ModelConfig's fields from a GGUF's metadata; raises CheckpointError for what our model cannot compute."""
    kind = header.metadata.get("general.architecture")
    if kind not in ARCHITECTURES:
        raise CheckpointError(
            f"{header.path} is of the architecture {kind!r}; those that are read: {', '.join(ARCHITECTURES)}"
        )
    settings = _Settings(header, kind)
    settings.refuse_changes()
    heads, emb_dim = settings.whole("attention.head_count"), settings.whole("embedding_length")
    embedding = header.places.get("token_embd.weight")
    shape = {
        "vocab_size": embedding.shape[0] if embedding else LARGEST_SETTING,
        "context_length": settings.whole("context_length", most=LONGEST_CONTEXT),
        "emb_dim": emb_dim,
        "n_heads": heads,
        # More layers than tensors cannot be; so many are not begun with.
        "n_layers": settings.whole("block_count", most=max(1, len(header.places))),
        "hidden_dim": settings.whole("feed_forward_length"),
        "tied_embeddings": "output.weight" not in header.places,
        **ARCHITECTURES[kind],
    }
    if kind == "gpt2":
        return {**shape, "norm_eps": settings.real("attention.layer_norm_epsilon", 1e-5)}
    width = settings.whole("attention.key_length", emb_dim // heads)
    settings.refuse_changes(("attention.value_length", width), ("rope.dimension_count", width))
    return {
        **shape,
        "n_kv_heads": settings.whole("attention.head_count_kv", heads),
        "head_dim": width,
        "norm_eps": settings.real("attention.layer_norm_rms_epsilon", 1e-5),
        "rope_base": settings.real("rope.freq_base", 10_000.0),
        **settings.scaling(),
    }


def gguf_settings(config: ModelConfig) -> dict[str, Any]:
    """The metadata that makes llama.cpp compute what `config` describes."""
    kind = config.architecture
    settings: dict[str, Any] = {
        "context_length": config.context_length,
        "embedding_length": config.emb_dim,
        "feed_forward_length": config.hidden_dim,
        "block_count": config.n_layers,
        "attention.head_count": config.n_heads,
        "attention.head_count_kv": config.n_kv_heads,
        "vocab_size": config.vocab_size,
    }
    if kind == "gpt2":
        settings |= {"attention.layer_norm_epsilon": config.norm_eps}
    else:
        widths = ("attention.key_length", "attention.value_length", "rope.dimension_count")
        settings |= {"attention.layer_norm_rms_epsilon": config.norm_eps, "rope.freq_base": config.rope_base}
        settings |= dict.fromkeys(widths, config.head_dim)
    if config.rope_scaling == "linear":
        settings |= {"rope.scaling.type": "linear", "rope.scaling.factor": config.rope_factor}
    return {"general.architecture": kind} | {f"{kind}.{name}": value for name, value in settings.items()}


def gguf_tensors(config: ModelConfig, state_dict: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The weights under llama.cpp's names, one by one; a bias that GPT-2 has there and the model lacks is zeros."""
    for name, tensor in _with_biases(config, state_dict):
        parts = pieces(config, name, tuple(tensor.shape))
        for piece, rows in zip(parts, torch.split(tensor, [part.shape[0] for part in parts]), strict=True):
            yield piece.name, piece.theirs(rows)
    yield from rope_freqs(config)


def check_names(header: GgufHeader, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Raises CheckpointError naming the tensors that are missing, of another shape, or that nobody asked for."""
    for name, shape in expected.items():
        if name not in header.places:
            raise CheckpointError(f"{header.path}: the weights do not fit its settings: {name} is missing")
        if header.places[name].shape != shape:
            raise CheckpointError(
                f"{header.path}: {name} has shape {list(header.places[name].shape)}; its settings ask for {list(shape)}"
            )
    if left := sorted(header.places.keys() - expected.keys()):
        scaled = f"; {FREQUENCIES} is read in the architecture llama alone" if FREQUENCIES in left else ""
        shown = ", ".join(left[:NAMES_SHOWN]) + (" …" if len(left) > NAMES_SHOWN else "")
        raise CheckpointError(
            f"{header.path}: the weights do not fit its settings: there is no place for {shown}{scaled}"
        )


def _with_biases(config: ModelConfig, state_dict: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in state_dict.items():
        yield name, tensor
        bias = f"{name.removesuffix('.weight')}.bias"
        has_one = name.startswith(("blocks.", "final_norm")) and name.endswith(".weight")
        if config.architecture == "gpt2" and has_one and bias not in state_dict:
            yield bias, torch.zeros(tensor.shape[0])


class _Settings:
    """The metadata of one architecture."""

    def __init__(self, header: GgufHeader, kind: str) -> None:
        self._header, self._kind = header, kind

    def whole(self, name: str, default: int | None = None, *, most: int = LARGEST_SETTING) -> int:
        """A whole number from 1 to `most`; a list of one number for each layer is one when they are all the same."""
        value = self._get(name, default)
        if isinstance(value, list) and len(set(value)) == 1:
            value = value[0]
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise self._refusal(name, value, f"it must be a whole number from 1 to {most:,}")
        return value

    def real(self, name: str, default: float) -> float:
        """A number, as short as float32 allows: 1e-05 and not 9.999999747378752e-06."""
        value = self._get(name, default)
        if not isinstance(value, float | int) or isinstance(value, bool) or not np.isfinite(value):
            raise self._refusal(name, value, "it must be a number")
        return float(str(np.float32(value)))

    def scaling(self) -> dict[str, Any]:
        """What slows all rotary pairs alike. As llama.cpp has it, a factor without a type means linear."""
        factor = self.real("rope.scaling.factor", 0.0) or self.real("rope.scale_linear", 0.0) or 1.0
        kind = self._get("rope.scaling.type", "linear")
        if kind not in ("none", "linear"):
            raise self._refusal("rope.scaling.type", kind, "only 'none' and 'linear' are computed here")
        return {} if kind == "none" or factor == 1 else {"rope_scaling": "linear", "rope_factor": factor}

    def refuse_changes(self, *fixed: tuple[str, Any]) -> None:
        """Raises CheckpointError when a setting has another value than ours, or than `fixed` where given."""
        for name, allowed in [(name, (value,)) for name, value in fixed] or UNCHANGED.items():
            value = self._get(name, allowed[0])
            if value not in allowed:
                raise self._refusal(name, value, f"only {allowed[0]!r} is computed here, so its results would be wrong")

    def _get(self, name: str, default: Any) -> Any:
        return self._header.metadata.get(f"{self._kind}.{name}", default)

    def _refusal(self, name: str, value: object, why: str) -> CheckpointError:
        return CheckpointError(f"{self._header.path} has {self._kind}.{name} = {value!r}; {why}")
