"""Vocabularies made from nothing or from the user's own text."""

from collections import Counter
from collections.abc import Iterable

from chainrule.base import TokenizerError
from chainrule.tokenizer.alphabet import SINGLE_BYTES
from chainrule.tokenizer.document import document_of, spelling_merges
from chainrule.tokenizer.learn import learn
from chainrule.tokenizer.sample import SAMPLE_BYTES, bounded_sample, sample_bytes
from chainrule.tokenizer.tokenizer import Tokenizer

SMALLEST = len(SINGLE_BYTES) + 1
LARGEST = 1_000_000


def byte_tokenizer() -> Tokenizer:
    """The 256 bytes and end-of-text: nothing to learn, and one id per byte."""
    return Tokenizer(document_of([]), kind="bytes")


def char_tokenizer(texts: Iterable[str], max_size: int = LARGEST) -> Tokenizer:
    """The characters of the texts over the 256 bytes, the most frequent ones if `max_size` entries do not hold all.

    A character outside the vocabulary becomes two to four ids of bytes, so every text round-trips; ASCII characters are
    bytes anyway. Of large texts 64 MiB are looked at, evenly spread. Raises TokenizerError as `train_bpe` does.
    """
    _check_size(max_size)
    counts: Counter[str] = Counter()
    for piece in _sampled(texts, SAMPLE_BYTES):
        counts.update(piece.decode())
    frequent = sorted(counts, key=lambda character: (-counts[character], character))
    return Tokenizer(document_of(spelling_merges(frequent, max_size - SMALLEST)), kind="chars")


def train_bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """A byte-level BPE of at most `vocab_size` entries, learnt from at most `sample_bytes` of the texts, evenly spread.

    It has fewer entries when the text has no pairs left to merge. `made_by` names the engine that learnt it; the
    vocabulary is the same, byte for byte, whichever it was. Raises TokenizerError when there is no text or when
    `vocab_size` is not from 257 to 1,000,000.
    """
    _check_size(vocab_size)
    merges, made_by = learn(_sampled(texts, sample_bytes(vocab_size)), vocab_size - 1)
    return Tokenizer(document_of(merges), kind="bpe", made_by=made_by)


def _check_size(vocab_size: int) -> None:
    if not SMALLEST <= vocab_size <= LARGEST:
        raise TokenizerError(
            f"vocab_size={vocab_size} is out of range: 256 bytes and end-of-text need {SMALLEST}, and {LARGEST:,} is "
            "the most; 4096 suits a small model, 50257 is GPT-2's"
        )


def _sampled(texts: Iterable[str], max_bytes: int) -> list[bytes]:
    sample = bounded_sample(texts, max_bytes)
    if not any(sample):
        raise TokenizerError("there is no text to make a vocabulary from; give at least one document that is not empty")
    return sample
