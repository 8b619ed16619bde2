"""The families of Hugging Face in which everything that is trained here has a home: one frozen row each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Architecture = Literal["gpt2", "llama", "qwen2", "qwen3"]
Given = Mapping[str, object]


class Shape(Protocol):
    """What a row asks of a model."""

    @property
    def emb_dim(self) -> int:
        """Numbers in the vector of a token."""

    @property
    def n_heads(self) -> int:
        """Heads of an attention."""


@dataclass(frozen=True)
class Family:
    """What a family computes, and so allows; what it is called; what its layers keep in memory."""

    class_name: str
    """Hugging Face's class."""
    told_by: Given
    """The settings by which a model is of this family."""
    home: str
    """Its name in an error, with the setting that leads there."""
    wants: Callable[[Shape], Given]
    """Settings that it has no other value for."""
    stream_bytes: tuple[int, int, int]
    """Bytes that a layer keeps of each token for the backward pass, times emb_dim: see plan/memory.py."""
    heads_divide: bool = False
    """Whether n_heads must divide emb_dim, whatever head_dim is."""


def _gpt2(shape: Shape) -> Given:
    fixed = {"norm": "layernorm", "activation": "gelu", "qk_norm": False}
    return {**fixed, "n_kv_heads": shape.n_heads, "head_dim": shape.emb_dim // shape.n_heads}


def _llama(_shape: Shape) -> Given:
    return {"norm": "rmsnorm", "activation": "swiglu", "qkv_bias": False, "bias": False}


def _qwen2(_shape: Shape) -> Given:
    return {"norm": "rmsnorm", "activation": "swiglu", "bias": False}


MODERN = "Llama, Qwen2 and Qwen3 (position = rope)"
# Queries and keys are normalised in Qwen3 alone, biases stand in Qwen2's queries, keys and values alone.
UNNORMED = {"position": "rope", "qk_norm": False}
ARCHITECTURES: dict[Architecture, Family] = {
    "gpt2": Family("GPT2LMHeadModel", {"position": "learned"}, "GPT-2 (position = learned)", _gpt2, (32, 20, 21)),
    "llama": Family(
        "LlamaForCausalLM", UNNORMED | {"qkv_bias": False}, MODERN, _llama, (40, 30, 36), heads_divide=True
    ),
    # A bias is added in place by the matrix product: nothing more is kept for the backward pass than in Llama.
    "qwen2": Family("Qwen2ForCausalLM", UNNORMED | {"qkv_bias": True}, MODERN, _qwen2, (40, 30, 36), heads_divide=True),
    "qwen3": Family("Qwen3ForCausalLM", {"position": "rope", "qk_norm": True}, MODERN, _llama, (60, 46, 52)),
}
