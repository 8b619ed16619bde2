"""The order of an epoch as a keyed bijection: place k costs O(1), nothing is stored, a resume needs no history."""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6


def round_keys(seed: int, epoch: int, purpose: str = "") -> NDArray[np.uint64]:
    """One key for each round, and one more for other choices of the epoch; others for another purpose."""
    text = f"chainrule order 1 {seed} {epoch}{purpose and f' {purpose}'}".encode()
    digest = hashlib.blake2b(text, digest_size=8 * (ROUNDS + 1) if ROUNDS < 8 else 64).digest()
    return np.frombuffer(digest, "<u8")


def permuted(places: NDArray[np.int64], size: int, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where the places 0 … size-1 go under the bijection that `keys` chooses.

    An alternating Feistel network on the pairs of a grid just larger than `size` (its sides are its rounded-up root and
    what that needs); a pair outside is sent through again, which happens to at most about one in sqrt(size).
    """
    width = math.isqrt(size - 1) + 1 if size > 1 else 1
    height = -(-size // width)
    result = _feistel(places.astype(np.uint64), width, height, keys)
    while (outside := result >= np.uint64(size)).any():
        result[outside] = _feistel(result[outside], width, height, keys)
    return result.astype(np.int64)


def _feistel(values: NDArray[np.uint64], width: int, height: int, keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    left, right = np.divmod(values, np.uint64(width))
    for round_, key in enumerate(keys[:ROUNDS]):
        if round_ % 2 == 0:
            left = (left + _mixed(right, key) % np.uint64(height)) % np.uint64(height)
        else:
            right = (right + _mixed(left, key) % np.uint64(width)) % np.uint64(width)
    return np.asarray(left * np.uint64(width) + right)


def _mixed(values: NDArray[np.uint64], key: np.uint64) -> NDArray[np.uint64]:
    """A keyed hash (the finaliser of splitmix64)."""
    values = (values ^ key) * np.uint64(0xBF58_476D_1CE4_E5B9)
    values = (values ^ (values >> np.uint64(31))) * np.uint64(0x94D0_49BB_1331_11EB)
    return np.asarray(values ^ (values >> np.uint64(30)))
