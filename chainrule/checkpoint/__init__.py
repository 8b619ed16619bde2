"""Checkpoints that exist wholly or not at all, and Hugging Face's names and shapes both ways."""

from chainrule.checkpoint.load import Checkpoint, load_checkpoint, load_weights, newest_checkpoint, verify_checkpoint
from chainrule.checkpoint.names import clean_stumps
from chainrule.checkpoint.retention import prune_checkpoints
from chainrule.checkpoint.save import save_checkpoint

__all__ = [
    "Checkpoint",
    "clean_stumps",
    "load_checkpoint",
    "load_weights",
    "newest_checkpoint",
    "prune_checkpoints",
    "save_checkpoint",
    "verify_checkpoint",
]
