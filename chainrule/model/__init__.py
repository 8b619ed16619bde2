"""GPT-2 as published, and one modern variant: attention, feed-forward, norm and position, one idea a file."""

from chainrule.model.attention import attend
from chainrule.model.batch import Batch, WindowsLike, micro_batches
from chainrule.model.cache import KVCache
from chainrule.model.exact import ExactReader
from chainrule.model.gpt import GPT
from chainrule.model.loss import IGNORED
from chainrule.model.position import POSITIONS
from chainrule.model.previous_token import plant_previous_token

__all__ = [
    "GPT",
    "IGNORED",
    "POSITIONS",
    "Batch",
    "ExactReader",
    "KVCache",
    "WindowsLike",
    "attend",
    "micro_batches",
    "plant_previous_token",
]
