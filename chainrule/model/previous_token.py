"""A start in which one attention head looks at the token before, from which copying out of the context is soon learnt.

What repeats is copied by two heads (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; Olsson et
al., arXiv 2209.11895): one hands each token to the place after it, and one in a layer above looks for what followed the
present token when it last appeared. Neither is of use without the other, so short runs find them when their learning
rate has nearly gone, or never. Here the first is written into the first weights. Nothing of it is fixed: training
keeps, moves or drops it, and the form of the model is the same.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.base import ConfigError
from chainrule.config import ModelConfig
from chainrule.model.attention import Attention
from chainrule.model.gpt import GPT
from chainrule.model.rope import rope_speeds

# Length of the part that all token embeddings share, over what is their own: a head that looks at places alone needs a
# direction that every token has.
SHARED = 0.5
# The pairs of a query and a key that turn fastest tell neighbours apart; fewer than four agree again farther back.
FAST_PAIRS = 4
# Factor on the keys' norm in the first two layers: the attention on the place before is then 0.90 instead of 0.78.
SHARPNESS, SHARP_LAYERS = 2.0, 2


@torch.no_grad()
def plant_previous_token(model: GPT) -> None:
    """Makes the first head of the first layer look at the place before its own, by 0.5 to 0.9 of its attention.

    Its values are as they were. The token embeddings gain a shared part, and the keys of the first two layers are twice
    as long, so that attention can settle. Draws from torch's generator. Raises ConfigError for a model whose queries
    and keys are not normalised and rotated.
    """
    config = model.config
    if config.no_previous_token:
        raise ConfigError(
            f"training.first_weights=previous-token needs {config.no_previous_token}; or leave it at random"
        )
    embedding = model.token_embedding.weight
    shared = torch.nn.functional.normalize(torch.randn(config.emb_dim), dim=0).to(embedding)
    embedding.add_(shared * (SHARED * float(embedding.std()) * math.sqrt(config.emb_dim)))
    layers = [block.attention for block in model.blocks if isinstance(block.attention, Attention)]
    query, key = (torch.outer(part.to(shared), shared) for part in one_place_apart(config))
    layers[0].qkv.weight[: config.head_dim] = query
    layers[0].qkv.weight[config.n_heads * config.head_dim :][: config.head_dim] = key
    for layer in layers[:SHARP_LAYERS]:
        assert layer.k_norm is not None
        layer.k_norm.weight.fill_(SHARPNESS)


def one_place_apart(config: ModelConfig) -> tuple[Float[Tensor, " K"], Float[Tensor, " K"]]:
    """A query and a key that agree best, after both were rotated, when the key is one place before the query."""
    angles = rope_speeds(config)
    fast = torch.zeros_like(angles)
    fast[:FAST_PAIRS] = 1.0
    return torch.cat((fast, torch.zeros_like(fast))), torch.cat((fast * angles.cos(), fast * angles.sin()))
