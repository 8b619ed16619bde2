"""The shape of the network, in the words of the field; what cannot be exported is refused here."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from chainrule.config.architectures import ARCHITECTURES, Architecture
from chainrule.config.section import Section


def _head_dim(given: dict[str, int]) -> int:
    return given["emb_dim"] // max(given["n_heads"], 1)


def _hidden_dim(given: dict[str, int | str]) -> int:
    emb_dim = int(given["emb_dim"])
    if given["activation"] == "gelu":
        return 4 * emb_dim
    # Three matrices instead of two: 8/3 keeps the parameters of 4 (Shazeer, arXiv 2002.05202); rounded up to 64.
    return -(-8 * emb_dim // 3 // 64) * 64


MOST_TRIED = 10_000

# What each kind of rope_scaling reads beside rope_base.
SCALED_BY: dict[str, tuple[str, ...]] = {
    "none": (),
    "linear": ("rope_factor",),
    "llama3": ("rope_factor", "rope_low_freq_factor", "rope_high_freq_factor", "rope_original_context"),
}


class ModelConfig(Section):
    """The shape of the network. The defaults are GPT-2 124M."""

    vocab_size: PositiveInt = 50257
    """Entries of the vocabulary: rows of the token embedding and outputs of the head."""
    context_length: PositiveInt = 1024
    """Tokens that the model can look back on, itself included."""
    emb_dim: PositiveInt = 768
    """Width of the residual stream: numbers that represent one token between the blocks."""
    n_heads: PositiveInt = 12
    """Attention heads of each block."""
    n_layers: PositiveInt = 12
    """Blocks (attention, then feed-forward), one after the other."""
    drop_rate: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of activations set to zero while training; 0 switches dropout off, best when no text is seen twice."""
    qkv_bias: bool = False
    """Adds a bias to queries, keys and values (OpenAI's GPT-2 weights have one; with position=rope it is Qwen2)."""
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    """What keeps activations in range: layernorm as in GPT-2, rmsnorm as in Llama and Qwen3."""
    position: Literal["learned", "rope"] = "learned"
    """How the model knows the order of tokens: a learned vector for each place, or rotated queries and keys."""
    activation: Literal["gelu", "swiglu"] = "gelu"
    """The feed-forward layer's non-linearity: gelu as in GPT-2, swiglu (a gated one) as in Llama and Qwen3."""
    bias: bool = True
    """Biases in the norms and in the linear layers other than queries, keys and values; the modern ones have none."""
    qk_norm: bool = False
    """Normalises queries and keys of each head before they meet, which keeps attention from saturating (Qwen3)."""
    tied_embeddings: bool = True
    """The head reuses the token embedding: fewer parameters, and usually better in small models."""
    n_kv_heads: PositiveInt = Field(default_factory=lambda given: given["n_heads"])
    """Heads that keys and values have; fewer than n_heads share them in groups. Automatic: n_heads."""
    head_dim: PositiveInt = Field(default_factory=_head_dim)
    """Width of one head. Automatic: emb_dim / n_heads."""
    hidden_dim: PositiveInt = Field(default_factory=_hidden_dim)
    """Width inside the feed-forward layer. Automatic: 4 emb_dim for gelu, 8/3 emb_dim rounded up to 64 for swiglu."""
    norm_eps: Annotated[float, Field(gt=0, lt=0.1)] = 1e-5
    """Added inside the norm's square root, so that nothing is divided by zero."""
    rope_base: Annotated[float, Field(gt=1)] = 10_000.0
    """Longest wavelength of the rotary positions; larger for long contexts."""
    rope_scaling: Literal["none", "linear", "llama3"] = "none"
    """Slows the rotary positions so that a context grows: all pairs alike, or the slow ones alone as in Llama 3.1."""
    rope_factor: Annotated[float, Field(gt=0)] = 1.0
    """By what they are slowed: linear and llama3."""
    rope_low_freq_factor: Annotated[float, Field(gt=0)] = 1.0
    """Pairs that turn less often than this in the original context are slowed by the whole factor: llama3."""
    rope_high_freq_factor: Annotated[float, Field(gt=0)] = 4.0
    """Pairs that turn more often than this in the original context keep their speed: llama3."""
    rope_original_context: PositiveInt = 8192
    """Tokens of the context before it grew: llama3."""
    exportable: bool = True
    """Refuses what no architecture of Hugging Face computes; false lets a research block train that no export takes."""

    @property
    def architecture(self) -> Architecture:
        """The Hugging Face architecture that computes exactly this: a key of ARCHITECTURES."""
        return next(
            name
            for name, family in ARCHITECTURES.items()
            if all(getattr(self, key) == value for key, value in family.told_by.items())
        )

    @property
    def no_previous_token(self) -> str | None:
        """What this shape lacks for a start with a head that looks at the token before; None when it has all."""
        fits = self.position == "rope" and self.qk_norm
        return None if fits else "model.position=rope and model.qk_norm=true"

    @property
    def _fitting_heads(self) -> int:
        """The divisor of emb_dim that is nearest to n_heads. A file may ask for any size: not all are tried."""
        near = (n for away in range(1, MOST_TRIED) for n in (self.n_heads - away, self.n_heads + away))
        return next((n for n in near if n > 0 and self.emb_dim % n == 0), 1)

    @model_validator(mode="after")
    def _heads_divide(self) -> "ModelConfig":
        if self.emb_dim % self.n_heads and "head_dim" not in self.model_fields_set:
            raise ValueError(
                f"emb_dim={self.emb_dim} does not divide into n_heads={self.n_heads}; try n_heads={self._fitting_heads}"
            )
        if self.n_heads % self.n_kv_heads:
            raise ValueError(
                f"n_heads={self.n_heads} does not divide into n_kv_heads={self.n_kv_heads}; "
                f"use a divisor of {self.n_heads}"
            )
        if self.position == "rope" and self.head_dim % 2:
            raise ValueError(f"head_dim={self.head_dim} is odd, and rotary positions turn pairs; use an even head_dim")
        return self

    @model_validator(mode="after")
    def _rotary_positions_are_scaled_as_said(self) -> "ModelConfig":
        low, high = self.rope_low_freq_factor, self.rope_high_freq_factor
        if low >= high:
            raise ValueError(
                f"rope_low_freq_factor={low:g} must be below rope_high_freq_factor={high:g}; Llama 3.1 has 1 and 4"
            )
        if self.rope_scaling != "none" and self.position != "rope":
            raise ValueError(f"rope_scaling={self.rope_scaling} needs position=rope; there is nothing else to scale")
        for name in SCALED_BY["llama3"]:
            given = getattr(self, name)
            if name not in SCALED_BY[self.rope_scaling] and given != type(self).model_fields[name].default:
                users = " or ".join(kind for kind, names in SCALED_BY.items() if name in names)
                raise ValueError(f"{name}={given} means nothing with rope_scaling={self.rope_scaling}; use {users}")
        return self

    @model_validator(mode="after")
    def _exports(self) -> "ModelConfig":
        """Everything trained here has a home in Hugging Face's words, so that no week of training is stranded."""
        family = ARCHITECTURES[self.architecture]
        if not self.exportable:
            return self
        if family.heads_divide and self.emb_dim % self.n_heads:
            raise ValueError(
                f"emb_dim={self.emb_dim} does not divide into n_heads={self.n_heads}, which {family.class_name} "
                "requires; change one, or set qk_norm=true (Qwen3)"
            )
        for name, value in family.wants(self).items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"{name}={getattr(self, name)} cannot be exported: {family.home} has {name}={value}. "
                    "Change it, or change position; exportable=false trains it all the same"
                )
        return self
