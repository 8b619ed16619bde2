"""Llama, Qwen2 and Qwen3 in Hugging Face's words; Qwen2 has biases in its queries, keys and values, Qwen3 QK-norm."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from chainrule.checkpoint.foreign import ForeignWeights, context_setting, refuse_settings, setting
from chainrule.checkpoint.rope_format import rope_from_settings, rope_to_settings
from chainrule.config import ARCHITECTURES, ModelConfig

SAME = {
    "attention_norm": "input_layernorm",
    "attention.out": "self_attn.o_proj",
    "feed_forward_norm": "post_attention_layernorm",
    "feed_forward.gate": "mlp.gate_proj",
    "feed_forward.up": "mlp.up_proj",
    "feed_forward.down": "mlp.down_proj",
}
QK_NORM = {"attention.q_norm": "self_attn.q_norm", "attention.k_norm": "self_attn.k_norm"}
UNTURNED = {"partial_rotary_factor": 1.0, "rope_ratio": 1.0}
FIXED = {"hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "use_sliding_window": False}


def to_llama_settings(config: ModelConfig) -> dict[str, Any]:
    """The config.json that makes transformers compute what `config` describes."""
    return {
        "architectures": [ARCHITECTURES[config.architecture].class_name],
        "model_type": config.architecture,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "hidden_size": config.emb_dim,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "num_hidden_layers": config.n_layers,
        "intermediate_size": config.hidden_dim,
        "rms_norm_eps": config.norm_eps,
        "attention_dropout": config.drop_rate,
        **rope_to_settings(config),
        # Qwen2's own biases are no setting; the word means one in the way out as well.
        **{name: value for name, value in FIXED.items() if name != "attention_bias" or not config.qkv_bias},
        "tie_word_embeddings": config.tied_embeddings,
        # The vocabulary is the user's own: transformers' defaults (1 and 2) would be words of it.
        **{"bos_token_id": None, "eos_token_id": None},
    }


def to_llama_tensors(config: ModelConfig, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under LlamaForCausalLM's names, with queries, keys and values apart."""
    theirs = {
        "model.embed_tokens.weight": state_dict["token_embedding.weight"],
        "model.norm.weight": state_dict["final_norm.weight"],
    }
    for layer in range(config.n_layers):
        block, place = f"blocks.{layer}", f"model.layers.{layer}"
        for ours, name in _names(config).items():
            theirs[f"{place}.{name}.weight"] = state_dict[f"{block}.{ours}.weight"]
        parts = torch.split(state_dict[f"{block}.attention.qkv.weight"], _rows(config))
        for letter, part in zip("qkv", parts, strict=True):
            theirs[f"{place}.self_attn.{letter}_proj.weight"] = part.clone()
        if config.qkv_bias:
            biases = torch.split(state_dict[f"{block}.attention.qkv.bias"], _rows(config))
            theirs |= {
                f"{place}.self_attn.{letter}_proj.bias": b.clone() for letter, b in zip("qkv", biases, strict=True)
            }
    if not config.tied_embeddings:
        theirs["lm_head.weight"] = state_dict["head.weight"]
    return theirs


def from_llama_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """ModelConfig's fields from a Llama, Qwen2 or Qwen3 config.json; CheckpointError for what it cannot compute."""
    refuse_settings(settings, FIXED | UNTURNED)
    qwen2, qwen3 = (settings["model_type"] == name for name in ("qwen2", "qwen3"))
    heads = setting(settings, "num_attention_heads")
    # Qwen3Config's own default for head_dim is 128, Llama's the quotient.
    automatic_width = 128 if qwen3 else setting(settings, "hidden_size") // heads
    return {
        "vocab_size": setting(settings, "vocab_size"),
        "context_length": context_setting(settings, "max_position_embeddings"),
        "emb_dim": setting(settings, "hidden_size"),
        "n_heads": heads,
        "n_kv_heads": setting(settings, "num_key_value_heads") if settings.get("num_key_value_heads") else heads,
        "head_dim": setting(settings, "head_dim") if settings.get("head_dim") else automatic_width,
        "n_layers": setting(settings, "num_hidden_layers"),
        "hidden_dim": setting(settings, "intermediate_size"),
        "norm_eps": settings.get("rms_norm_eps", 1e-6),
        "drop_rate": settings.get("attention_dropout") or 0.0,
        **rope_from_settings(settings),
        "tied_embeddings": settings.get("tie_word_embeddings", False),
        **{"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False},
        **{"qkv_bias": qwen2, "qk_norm": qwen3},
    }


def from_llama_tensors(config: ModelConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of our model, with queries, keys and values fused."""
    weights = ForeignWeights({name: t for name, t in tensors.items() if not name.endswith("rotary_emb.inv_freq")})
    ours = {
        "token_embedding.weight": weights.take("model.embed_tokens.weight", config.vocab_size, config.emb_dim),
        "final_norm.weight": weights.take("model.norm.weight"),
    }
    for layer in range(config.n_layers):
        block, place = f"blocks.{layer}", f"model.layers.{layer}"
        for name, theirs in _names(config).items():
            ours[f"{block}.{name}.weight"] = weights.take(f"{place}.{theirs}.weight")
        parts = [
            weights.take(f"{place}.self_attn.{letter}_proj.weight", rows, config.emb_dim)
            for letter, rows in zip("qkv", _rows(config), strict=True)
        ]
        ours[f"{block}.attention.qkv.weight"] = torch.cat(parts)
        if config.qkv_bias:
            biases = [
                weights.take(f"{place}.self_attn.{letter}_proj.bias", rows)
                for letter, rows in zip("qkv", _rows(config), strict=True)
            ]
            ours[f"{block}.attention.qkv.bias"] = torch.cat(biases)
    ours |= weights.head(ours["token_embedding.weight"], tied=config.tied_embeddings)
    weights.finish()
    return ours


def _names(config: ModelConfig) -> dict[str, str]:
    return SAME | QK_NORM if config.qk_norm else SAME


def _rows(config: ModelConfig) -> list[int]:
    """Rows of queries, keys and values in the fused matrix."""
    return [config.n_heads * config.head_dim, *(2 * [config.n_kv_heads * config.head_dim])]
