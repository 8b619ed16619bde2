"""The only door to `gguf` (extra `gguf`): numbers that share a scale in blocks, unpacked and packed."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from chainrule.base import MissingPackageError

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
    rows = content.reshape(-1, len(content) * shape[-1] // np.prod(shape, dtype=int))
    numbers = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[kind])
    return torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32)).view(shape)


def packed(tensor: Float[Tensor, "..."], kind: str) -> bytes:
    """The bytes of a tensor in the format called `kind`, of which its last axis must be a whole number of blocks."""
    if kind in PLAIN:
        return tensor.to(PLAIN[kind]).contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    gguf = require_gguf(f"writing a GGUF file in {kind}")
    content: bytes = gguf.quants.quantize(tensor.float().numpy(), gguf.GGMLQuantizationType[kind]).tobytes()
    return content
