"""What anybody gets without a network: bits per byte of counting and of compressors, on the same held-out bytes."""

import lzma
import math
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from chainrule.data import TokenStore
from chainrule.evaluate.bounded import as_much_as, doubled
from chainrule.evaluate.ngrams import LONGEST, Ids, NgramCounts
from chainrule.tokenizer import Tokenizer

PIECES = 32
DECODED_AT_ONCE = 2**18
SQUEEZED_AT_ONCE = 2**16
MOST_BYTES = 16 * 2**20
HELD_OUT_PART = 4  # a held-out text may be a quarter as large as a training text
WINDOW_BYTES = 64 * 2**20  # the dictionary of xz -9: farther back it sees nothing


class Baselines(TypedDict):
    """Bits per held-out byte of six baselines (less is better), and how much text they were given."""

    unigram: float
    bigram: float
    fivegram: float
    gzip: float
    xz: float
    xz_seen: float
    train_bytes: int
    held_out_bytes: int
    whole: bool


def baselines_within(
    seconds: float, train: TokenStore, validation: TokenStore, tokenizer: Tokenizer, *, max_bytes: int = MOST_BYTES
) -> Baselines:
    """`baselines` of as much text as fits in `seconds` on this machine at this moment, at least of 128 KiB."""
    whole = max(_n_bytes(train, tokenizer), HELD_OUT_PART * _n_bytes(validation, tokenizer))
    return as_much_as(
        seconds,
        doubled(max(1, max_bytes // 128), min(max_bytes, whole)),
        lambda size, check: baselines(train, validation, tokenizer, max_bytes=size, check=check),
    )[1]


def baselines(
    train: TokenStore,
    validation: TokenStore,
    tokenizer: Tokenizer,
    *,
    max_bytes: int = MOST_BYTES,
    check: Callable[[], None] = lambda: None,
) -> Baselines:
    """Measures all six on the held-out text; compressors run on two threads (they leave Python's lock).

    unigram, bigram and fivegram are counted on the training tokens (end-of-text among them), smoothed so that what was
    never seen costs a finite number of bits. gzip -9 and xz -9e compress the held-out bytes alone; xz_seen is what xz
    needs for them after the training text: size(train + held-out) - size(train). The compressors are not charged for
    document ends, the counts are.

    Of a training text larger than `max_bytes`, and of a held-out text larger than a quarter of it, evenly spread pieces
    that make up this size are used; `whole` is then False. `check` is called now and then, and may raise to stop.
    """
    seen, seen_whole = _pieces(train, tokenizer, max_bytes)
    held_out, held_out_whole = _pieces(validation, tokenizer, max(1, max_bytes // HELD_OUT_PART))
    before, text = _text(seen, tokenizer), _text(held_out, tokenizer)
    with ThreadPoolExecutor(2) as pool:
        after_training = pool.submit(_xz_size, before + text, check)
        training = pool.submit(_xz_size, before, check)
        alone = pool.submit(_xz_size, text, check)
        gzipped = pool.submit(_gzip_size, text)
        counts = NgramCounts(seen, tokenizer.vocab_size)
        scale = 1 / max(1, len(text))
        return Baselines(
            unigram=sum(_bits(counts.unigram(piece)) for piece in held_out) * scale,
            bigram=sum(_bits(counts.after(piece, 2)) for piece in held_out) * scale,
            fivegram=sum(_bits(counts.after(piece, LONGEST)) for piece in held_out) * scale,
            gzip=gzipped.result() * 8 * scale,
            xz=alone.result() * 8 * scale,
            xz_seen=(after_training.result() - training.result()) * 8 * scale,
            train_bytes=len(before),
            held_out_bytes=len(text),
            whole=seen_whole and held_out_whole,
        )


def _pieces(store: TokenStore, tokenizer: Tokenizer, max_bytes: int) -> tuple[list[Ids], bool]:
    """All tokens in one piece, or evenly spread pieces of about `max_bytes` in all; and whether it was all."""
    wanted = int(max_bytes / _bytes_per_token(store, tokenizer))
    if wanted >= store.n_tokens:
        return [store.read(0, store.n_tokens)], True
    return list(_spread(store, max(1, wanted // PIECES))), False


def _n_bytes(store: TokenStore, tokenizer: Tokenizer) -> int:
    """About how many bytes the store stands for: enough for `_pieces` to take all of it."""
    return math.ceil(store.n_tokens * _bytes_per_token(store, tokenizer)) + 1


def _bytes_per_token(store: TokenStore, tokenizer: Tokenizer) -> float:
    first = store.read(0, min(store.n_tokens, 65_536))
    return max(float(tokenizer.byte_lengths[first].mean()), 1e-9)


def _spread(store: TokenStore, length: int) -> Iterator[Ids]:
    for start in np.linspace(0, store.n_tokens - length, PIECES).astype(np.int64):
        yield store.read(int(start), length)


def _bits(probability: NDArray[np.float64]) -> float:
    return float(-np.log2(probability).sum())


def _text(pieces: list[Ids], tokenizer: Tokenizer) -> bytes:
    # In parts, because a list of Python's integers takes ten times the memory of the array.
    parts = [ids[start : start + DECODED_AT_ONCE] for ids in pieces for start in range(0, len(ids), DECODED_AT_ONCE)]
    return b"".join(tokenizer.decode_bytes(ids[ids != tokenizer.end_of_text].tolist()) for ids in parts)


def _gzip_size(content: bytes) -> int:
    squeezer = zlib.compressobj(9, wbits=31)
    return len(squeezer.compress(content)) + len(squeezer.flush())


def _xz_size(content: bytes, check: Callable[[], None]) -> int:
    # A dictionary larger than the text changes nothing but the encoder's memory (ten times the dictionary).
    window = min(WINDOW_BYTES, max(4096, len(content)))
    lzma2 = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}
    squeezer, size = lzma.LZMACompressor(filters=[lzma2]), 0
    for start in range(0, len(content), SQUEEZED_AT_ONCE):
        check()
        size += len(squeezer.compress(content[start : start + SQUEEZED_AT_ONCE]))
    return size + len(squeezer.flush())
