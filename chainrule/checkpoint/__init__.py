"""Checkpoints that exist wholly or not at all, and Hugging Face's names and shapes both ways."""

from chainrule.checkpoint.adapted import adapted_beside, open_adapted
from chainrule.checkpoint.adapter import (
    ADAPTER_STEM,
    ROWS_STEM,
    AdapterFacts,
    base_fingerprint,
    check_base,
    load_adapter,
    load_saved_adapter,
    put_adapter,
    save_adapter,
)
from chainrule.checkpoint.build import build_model
from chainrule.checkpoint.gguf_blocks import require_gguf
from chainrule.checkpoint.gguf_file import rounded_for_gguf, write_gguf
from chainrule.checkpoint.hugging_face import from_hugging_face, to_hugging_face
from chainrule.checkpoint.listed import SEALED, check_listed, unlisted
from chainrule.checkpoint.load import Checkpoint, load_checkpoint, load_weights, newest_checkpoint, verified_file
from chainrule.checkpoint.names import clean_stumps
from chainrule.checkpoint.open import OpenedModel, base_of, is_word_of_a_model, open_model
from chainrule.checkpoint.peft_format import peft_words, to_peft
from chainrule.checkpoint.retention import prune_checkpoints
from chainrule.checkpoint.save import save_checkpoint, saved_bytes
from chainrule.checkpoint.spare import remove_spare, spare_of
from chainrule.checkpoint.tensors import read_metadata, read_tensors, write_tensors
from chainrule.run import step_folder, steps_of

__all__ = [
    "ADAPTER_STEM",
    "ROWS_STEM",
    "SEALED",
    "AdapterFacts",
    "Checkpoint",
    "OpenedModel",
    "adapted_beside",
    "base_fingerprint",
    "base_of",
    "build_model",
    "check_base",
    "check_listed",
    "clean_stumps",
    "from_hugging_face",
    "is_word_of_a_model",
    "load_adapter",
    "load_checkpoint",
    "load_saved_adapter",
    "load_weights",
    "newest_checkpoint",
    "open_adapted",
    "open_model",
    "peft_words",
    "prune_checkpoints",
    "put_adapter",
    "read_metadata",
    "read_tensors",
    "remove_spare",
    "require_gguf",
    "rounded_for_gguf",
    "save_adapter",
    "save_checkpoint",
    "saved_bytes",
    "spare_of",
    "step_folder",
    "steps_of",
    "to_hugging_face",
    "to_peft",
    "unlisted",
    "verified_file",
    "write_gguf",
    "write_tensors",
]
