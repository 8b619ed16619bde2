"""Named tensors as a safetensors file: written in one pass with its checksum, read without pickle."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from chainrule.base import CheckpointError, bytes_text, disk_faults, open_file

# Prefixes that torch.compile and DistributedDataParallel put in front of a parameter's own name.
WRAPPERS = re.compile(r"(^module\.|_orig_mod\.)")

DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
}


def write_tensors(stream: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> str:
    """Writes the safetensors format to `stream` and returns the SHA-256 of the bytes, in hexadecimal.

    Own lines instead of `safetensors.save`, which holds the whole file in memory once more and cannot hash while it
    writes. Tensors may be on any device, of any layout; nothing but one of them at a time is copied.
    """
    ordered = sorted(unwrapped(tensors).items(), key=lambda item: (-item[1].element_size(), item[0]))
    header = json.dumps(_header(ordered, metadata), separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors start on 8 bytes, the widest element comes first: all are aligned
    digest = hashlib.sha256()
    for part in (len(header).to_bytes(8, "little"), header):
        stream.write(part)
        digest.update(part)
    for _, tensor in ordered:
        content = _flat(tensor).view(torch.uint8).numpy().data
        stream.write(content)
        digest.update(content)
    return digest.hexdigest()


# The package reads 100 MB of it: 110 MB of short rows take 5 s to parse. 130,000 tensors have 10 to 16 MB.
MOST_HEADER = 16 << 20


def _check_header(path: Path) -> None:
    """Raises ValueError for a header that is longer than those of models."""
    with open_file(path) as file:
        size = int.from_bytes(file.read(8), "little")
    if MOST_HEADER < size < path.stat().st_size:
        raise ValueError(f"its header promises {bytes_text(size)}, and {bytes_text(MOST_HEADER)} are read")


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU; raises CheckpointError when it is not one or is cut short."""
    with disk_faults(path, "reading"):
        try:
            _check_header(path)
            return dict(load_file(path))
        except (SafetensorError, FileNotFoundError, ValueError) as fault:
            raise CheckpointError(f"{path} is not a whole safetensors file: {fault}") from fault


def read_metadata(path: Path) -> dict[str, str]:
    """The words that a safetensors file says of itself; raises CheckpointError when it is not one."""
    with disk_faults(path, "reading"):
        try:
            _check_header(path)
            with safe_open(path, framework="pt") as file:
                return dict(file.metadata() or {})
        except (SafetensorError, FileNotFoundError, ValueError) as fault:
            raise CheckpointError(f"{path} is not a whole safetensors file: {fault}") from fault


def tensors_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Bytes that `write_tensors` will need: the values, and 256 for each name."""
    return sum(tensor.numel() * tensor.element_size() + 256 for tensor in tensors.values())


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under the names that they have in the bare model, without torch.compile's and DDP's prefixes."""
    bare = {WRAPPERS.sub("", name): tensor for name, tensor in tensors.items()}
    if len(bare) != len(tensors):
        raise CheckpointError("two tensors have the same name once the wrappers' prefixes are taken off")
    return bare


def _flat(tensor: Tensor) -> Tensor:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    # One number counts as contiguous whatever its stride, and can then not be seen as bytes.
    return flat if flat.stride() == (1,) else flat.clone(memory_format=torch.contiguous_format)


def _header(ordered: list[tuple[str, Tensor]], metadata: Mapping[str, str] | None) -> dict[str, object]:
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    offset = 0
    for name, tensor in ordered:
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    return header
