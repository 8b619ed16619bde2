"""What the linear layers of a block are called in Hugging Face's models: adapters are stored under those names."""

from chainrule.checkpoint.gpt2_format import CONV1D
from chainrule.checkpoint.llama_format import SAME
from chainrule.config import ModelConfig


def linear_names(config: ModelConfig, layer: int) -> dict[str, tuple[str, ...]]:
    """By our name in the block: the one that holds the same weights there, or the three that hold ours one by one.

    `attention.qkv` is one layer in GPT-2 (`c_attn`) and three elsewhere (`q_proj`, `k_proj`, `v_proj`, in this order).
    """
    if config.architecture == "gpt2":
        return {ours: (f"transformer.h.{layer}.{name}",) for ours, name in CONV1D.items()}
    place = f"model.layers.{layer}"
    names = {ours: (f"{place}.{name}",) for ours, name in SAME.items() if "norm" not in ours}
    return {"attention.qkv": tuple(f"{place}.self_attn.{letter}_proj" for letter in "qkv"), **names}
