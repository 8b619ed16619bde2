"""What turns a word into something to look at: demos, runs, presets, model folders, files, the user's own code."""

from chainrule.lens.opening.one_token import look_at_token, subject_of_token
from chainrule.lens.opening.size import fitted
from chainrule.lens.opening.steps import captured, ready_to_train
from chainrule.lens.opening.subjects import open_subject, recorded
from chainrule.lens.opening.tensors import named_tensor, open_tensor
from chainrule.lens.opening.tokens import token_look, token_subject
from chainrule.lens.opening.user_code import running

__all__ = [
    "captured",
    "fitted",
    "look_at_token",
    "named_tensor",
    "open_subject",
    "open_tensor",
    "ready_to_train",
    "recorded",
    "running",
    "subject_of_token",
    "token_look",
    "token_subject",
]
