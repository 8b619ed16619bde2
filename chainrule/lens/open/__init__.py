"""What turns a word into something to look at: demos, runs, presets, model folders, files, the user's own code."""

from chainrule.lens.open.steps import captured
from chainrule.lens.open.subjects import open_subject, recorded
from chainrule.lens.open.tensors import Tensors, choose, named_tensor, open_tensors, split_name
from chainrule.lens.open.user_code import running

__all__ = [
    "Tensors",
    "captured",
    "choose",
    "named_tensor",
    "open_subject",
    "open_tensors",
    "recorded",
    "running",
    "split_name",
]
