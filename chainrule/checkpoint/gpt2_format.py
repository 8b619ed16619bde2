"""GPT-2 in Hugging Face's words: GPT2LMHeadModel, whose linear layers (Conv1D) store their weights [in, out]."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from chainrule.checkpoint.foreign import ForeignWeights, context_setting, refuse_settings, setting
from chainrule.config import ARCHITECTURES, ModelConfig

NORMS = {"attention_norm": "ln_1", "feed_forward_norm": "ln_2"}
CONV1D = {
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}
# Causal masks that older transformers stored beside the weights; OpenAI's files on the hub have them.
MASKS = (".attn.bias", ".attn.masked_bias")
FIXED = {
    "activation_function": "gelu_new",
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


def to_gpt2_settings(config: ModelConfig) -> dict[str, Any]:
    """The config.json that makes transformers compute what `config` describes."""
    drop_rate = config.drop_rate
    return {
        "architectures": [ARCHITECTURES["gpt2"].class_name],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.context_length,
        "n_embd": config.emb_dim,
        "n_head": config.n_heads,
        "n_layer": config.n_layers,
        "n_inner": config.hidden_dim,
        "layer_norm_epsilon": config.norm_eps,
        **FIXED,
        **{"embd_pdrop": drop_rate, "attn_pdrop": drop_rate, "resid_pdrop": drop_rate},
        "tie_word_embeddings": config.tied_embeddings,
        # The vocabulary is the user's own: transformers' default (50256) may not exist in it.
        **{"bos_token_id": None, "eos_token_id": None},
    }


def to_gpt2_tensors(config: ModelConfig, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under GPT2LMHeadModel's names; a bias that the model lacks is zeros there, which adds nothing."""
    theirs = {
        "transformer.wte.weight": state_dict["token_embedding.weight"],
        "transformer.wpe.weight": state_dict["position_embedding.weight"],
    }
    norms = {"final_norm": "transformer.ln_f"}
    for layer in range(config.n_layers):
        block, h = f"blocks.{layer}", f"transformer.h.{layer}"
        norms |= {f"{block}.{ours}": f"{h}.{name}" for ours, name in NORMS.items()}
        for ours, name in CONV1D.items():
            weight = state_dict[f"{block}.{ours}.weight"]
            theirs[f"{h}.{name}.weight"] = weight.T.contiguous()
            theirs[f"{h}.{name}.bias"] = _bias(state_dict, f"{block}.{ours}", weight)
    for ours, name in norms.items():
        theirs[f"{name}.weight"] = weight = state_dict[f"{ours}.weight"]
        theirs[f"{name}.bias"] = _bias(state_dict, ours, weight)
    if not config.tied_embeddings:
        theirs["lm_head.weight"] = state_dict["head.weight"]
    return theirs


def from_gpt2_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """ModelConfig's fields from a GPT-2 config.json; raises CheckpointError for what this model cannot compute."""
    refuse_settings(settings, FIXED)
    emb_dim = setting(settings, "n_embd")
    return {
        "vocab_size": setting(settings, "vocab_size"),
        "context_length": context_setting(settings, "n_positions"),
        "emb_dim": emb_dim,
        "n_heads": setting(settings, "n_head"),
        "n_layers": setting(settings, "n_layer"),
        "hidden_dim": setting(settings, "n_inner") if settings.get("n_inner") else 4 * emb_dim,
        "norm_eps": settings.get("layer_norm_epsilon", 1e-5),
        "drop_rate": settings.get("resid_pdrop", 0.1),
        "qkv_bias": True,
        "tied_embeddings": settings.get("tie_word_embeddings", True),
    }


def from_gpt2_tensors(config: ModelConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of our model; names with and without the "transformer." prefix (the hub's own gpt2) are known."""
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    weights = ForeignWeights({name: tensor for name, tensor in bare.items() if not name.endswith(MASKS)})
    ours = {
        "token_embedding.weight": weights.take("wte.weight", config.vocab_size, config.emb_dim),
        "position_embedding.weight": weights.take("wpe.weight", config.context_length, config.emb_dim),
    }
    norms = {"final_norm": "ln_f"}
    for layer in range(config.n_layers):
        norms |= {f"blocks.{layer}.{name}": f"h.{layer}.{theirs}" for name, theirs in NORMS.items()}
        for name, theirs in CONV1D.items():
            ours[f"blocks.{layer}.{name}.weight"] = weights.take(f"h.{layer}.{theirs}.weight").T.contiguous()
            ours[f"blocks.{layer}.{name}.bias"] = weights.take(f"h.{layer}.{theirs}.bias")
    for name, theirs in norms.items():
        ours[f"{name}.weight"] = weights.take(f"{theirs}.weight")
        ours[f"{name}.bias"] = weights.take(f"{theirs}.bias")
    ours |= weights.head(ours["token_embedding.weight"], tied=config.tied_embeddings)
    weights.finish()
    return ours


def _bias(state_dict: Mapping[str, Tensor], layer: str, weight: Tensor) -> Tensor:
    """The layer's bias, or zeros of its number of outputs (rows)."""
    bias = state_dict.get(f"{layer}.bias")
    return torch.zeros(weight.shape[0], dtype=weight.dtype) if bias is None else bias
