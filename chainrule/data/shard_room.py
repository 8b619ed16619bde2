"""Room for the shards of a text, looked at before the first of them is written."""

from pathlib import Path

from chainrule.base import FLOOR_BYTES, bytes_text, free_bytes, require_room
from chainrule.data.surveying import Survey
from chainrule.tokenizer import Tokenizer

# Of each document: where it ends and which source it is from, as the shards have them; of each block, its checksum.
DOCUMENT_BYTES, SUMS_SHARE = 8 + 4, 1 / 8192
# What is encoded to know how many tokens a byte of the text is, where it matters.
SAMPLE_BYTES = 1 << 20


def require_shard_room(
    survey: Survey, tokenizer: Tokenizer, folder: Path, *, token_bytes: int, text_bytes: int, held_bytes: int
) -> None:
    """Raises DiskError unless the disk of `folder` has room for `text_bytes` of text, as tokens of `token_bytes` each.

    `held_bytes` are those that wait on the disk beside the shards while one of them is filled. A text has at most as
    many tokens as bytes; only where so many would not fit a part of it is encoded, because no text is refused that
    would have fitted.
    """
    beside = len(survey.table) * (DOCUMENT_BYTES + token_bytes) + held_bytes
    most = round(text_bytes * token_bytes * (1 + SUMS_SHARE)) + beside
    if most + FLOOR_BYTES <= free_bytes(folder):
        return
    needed = round(most - (1 - _tokens_of_a_byte(survey, tokenizer)) * text_bytes * token_bytes)
    require_room(
        folder,
        needed,
        f"{bytes_text(text_bytes)} of text as tokens of {token_bytes} bytes",
        "Free some, put the run on another disk by --runs-folder and the cache by --machine.cache, or give less text",
    )


def _tokens_of_a_byte(survey: Survey, tokenizer: Tokenizer) -> float:
    """Measured on stretches from all over the training text."""
    texts = [text for text in survey.sample("train", SAMPLE_BYTES) if text]
    n_bytes = sum(len(text.encode()) for text in texts)
    return sum(map(len, tokenizer.encode_batch(texts))) / n_bytes if n_bytes else 1.0
