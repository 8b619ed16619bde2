"""The only door to `gguf` (extra `gguf`): numbers that share a scale in blocks, unpacked and packed."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.base import MissingPackageError

# Of 32 numbers: 1 MiB in float32, which stays in a core's cache.
BLOCKS_AT_ONCE = 2**13
PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def require_gguf(purpose: str) -> Any:
    """The package; raises MissingPackageError when it is not installed."""
    try:
        import gguf
    except ImportError:
        raise MissingPackageError(purpose, "gguf", "gguf") from None
    return gguf


def unpacked(content: np.ndarray, kind: str, shape: tuple[int, ...]) -> Float[Tensor, "..."]:
    """The numbers of a tensor in float32; `content` are its bytes, `kind` the name of their format."""
    if kind in PLAIN:
        return torch.from_numpy(content.copy()).view(PLAIN[kind]).float().view(shape)
    gguf = require_gguf(f"reading a GGUF file in {kind}")
    quantised = gguf.GGMLQuantizationType[kind]
    n_numbers, n_bytes = gguf.GGML_QUANT_SIZES[quantised]
    numbers = np.empty(len(content) // n_bytes * n_numbers, np.float32)
    # Blocks know nothing of rows. As one long row each, some thousand at a time: the package goes through short rows by
    # sixteen, which is 10,000 calls and 0.7 s more for SmolLM2.
    for start in range(0, len(content) // n_bytes, BLOCKS_AT_ONCE):
        part = content[start * n_bytes : (start + BLOCKS_AT_ONCE) * n_bytes][None]
        numbers[start * n_numbers : (start + BLOCKS_AT_ONCE) * n_numbers] = gguf.quants.dequantize(part, quantised)[0]
    return torch.from_numpy(numbers).view(shape)


def packed(tensor: Float[Tensor, "..."], kind: str) -> bytes:
    """The bytes of a tensor in the format called `kind`, of which its last axis must be a whole number of blocks."""
    if kind in PLAIN:
        return tensor.to(PLAIN[kind]).contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    gguf = require_gguf(f"writing a GGUF file in {kind}")
    content: bytes = gguf.quants.quantize(tensor.float().numpy(), gguf.GGMLQuantizationType[kind]).tobytes()
    return content
