"""GPT-2 as published, and one modern variant: attention, feed-forward, norm and position, one idea a file."""

from chainrule.model.attention import attend, explicit_attention
from chainrule.model.block import Block
from chainrule.model.cache import KVCache
from chainrule.model.feed_forward import FEED_FORWARDS
from chainrule.model.gpt import GPT, initialise
from chainrule.model.loss import IGNORED, mean_loss, token_losses
from chainrule.model.norm import NORMS
from chainrule.model.position import POSITIONS
from chainrule.model.previous_token import plant_previous_token

__all__ = [
    "FEED_FORWARDS",
    "GPT",
    "IGNORED",
    "NORMS",
    "POSITIONS",
    "Block",
    "KVCache",
    "attend",
    "explicit_attention",
    "initialise",
    "mean_loss",
    "plant_previous_token",
    "token_losses",
]
