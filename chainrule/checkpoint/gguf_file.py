"""A GGUF file: read whole as a model with its tokenizer, and written from one."""

import struct
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from chainrule.base import (
    CheckpointError,
    ConfigError,
    TokenizerError,
    bytes_text,
    disk_faults,
    usable_cores,
    usable_memory,
)
from chainrule.checkpoint.blank import blank_model
from chainrule.checkpoint.gguf_blocks import packed, unpacked
from chainrule.checkpoint.gguf_format import Piece, check_names, config_from_gguf, gguf_settings, gguf_tensors, pieces
from chainrule.checkpoint.gguf_header import ALIGNMENT, ARRAY, KINDS, MAGIC, STRING, VERSIONS, GgufHeader, read_header
from chainrule.checkpoint.gguf_rope import FREQUENCIES, expected_freqs, read_freqs
from chainrule.checkpoint.hugging_face import described
from chainrule.config import ModelConfig
from chainrule.model import GPT
from chainrule.tokenizer import (
    ChatTemplate,
    Tokenizer,
    gguf_vocabulary,
    template_from_gguf,
    tokenizer_from_gguf,
)

# Of general.file_type (enum llama_ftype), by what the matrices are written in.
FILE_TYPES = {"F32": 0, "F16": 1, "Q8_0": 7}
BYTES_OF_A_WEIGHT = 4  # float32


@dataclass(frozen=True)
class GgufModel:
    """What a GGUF file holds: our config and weights (float32), the tokenizer, the chat template if it has one."""

    config: ModelConfig
    state_dict: Mapping[str, Tensor]
    tokenizer: Tokenizer
    template: ChatTemplate | None
    metadata: Mapping[str, Any]
    """All that the file says of itself."""


def read_gguf(path: Path) -> GgufModel:
    """Reads a file whole; raises CheckpointError for what is damaged or is not computed here, by its name.

    Everything that the file says is held against the model and the memory before a weight is read.
    """
    header = read_header(path)
    config = described(config_from_gguf(header), str(path))
    expected = {name: tuple(tensor.shape) for name, tensor in blank_model(config).state_dict().items()}
    parts = {name: pieces(config, name, shape) for name, shape in expected.items()}
    places = {piece.name: piece.shape for each in parts.values() for piece in each}
    freqs = expected_freqs(config) if FREQUENCIES in header.places else {}
    check_names(header, places | freqs)
    if freqs:
        fields = read_freqs(path, header.places[FREQUENCIES], config)
        config = described(config.model_dump() | fields, str(path))
    _check_memory(header, sum(int(np.prod(shape)) for shape in expected.values()))
    with disk_faults(path, "reading"):
        content = np.memmap(path, dtype=np.uint8, mode="r")
        pool = ThreadPoolExecutor(max(1, usable_cores()), thread_name_prefix="gguf")
        try:
            # Beside the words, which are Python's work: NumPy lets go of the interpreter while it computes. Not torch,
            # which would bring threads of its own to each of these.
            found = {
                name: [(piece, pool.submit(_numbers, content, header, piece)) for piece in each]
                for name, each in parts.items()
            }
            tokenizer, template = _words(path, header, config)
            state_dict = {name: _stacked((piece, one.result()) for piece, one in each) for name, each in found.items()}
        finally:
            pool.shutdown(cancel_futures=True)
    return GgufModel(config, state_dict, tokenizer, template, header.metadata)


def _words(path: Path, header: GgufHeader, config: ModelConfig) -> tuple[Tokenizer, ChatTemplate | None]:
    """The vocabulary and the chat template; raises TokenizerError, ConfigError or CheckpointError for what is wrong."""
    try:
        tokenizer = tokenizer_from_gguf(header.metadata)
        template = template_from_gguf(header.metadata, tokenizer)
    except (ConfigError, TokenizerError) as fault:
        raise type(fault)(f"{path}: {fault}") from None
    if tokenizer.vocab_size > config.vocab_size:
        raise CheckpointError(
            f"{path}: its vocabulary has {tokenizer.vocab_size} entries, the model only {config.vocab_size} rows"
        )
    return tokenizer, template


def write_gguf(
    path: Path, model: GPT, tokenizer: Tokenizer, dtype: str, *, template: ChatTemplate | None = None, **more: Any
) -> None:
    """Writes a new file in F32, F16 or Q8_0, with `more` metadata beside what model, tokenizer and template say.

    Norms, biases and positions stay F32, as llama.cpp has them; a matrix whose rows are no whole blocks becomes F16.
    """
    metadata = gguf_settings(model.config) | gguf_vocabulary(tokenizer, model.config.vocab_size, template)
    metadata |= {"general.file_type": FILE_TYPES[dtype], "general.alignment": ALIGNMENT, **more}
    if dtype == "Q8_0":
        metadata["general.quantization_version"] = 2
    tensors = [
        (name, _kind(name, tensor, dtype), tensor) for name, tensor in gguf_tensors(model.config, model.state_dict())
    ]
    with disk_faults(path, "writing"), path.open("xb") as stream:
        stream.write(_front(metadata, tensors))
        for _, kind, tensor in tensors:
            _pad(stream)
            stream.write(packed(tensor.detach().cpu(), kind))
        _pad(stream)


def rounded_for_gguf(tensors: Mapping[str, Tensor], config: ModelConfig, dtype: str) -> dict[str, Tensor]:
    """The weights as a file in that format holds them: each number rounded by its format."""
    found = {}
    for name, tensor in tensors.items():
        kind = _kind(pieces(config, name, tuple(tensor.shape))[0].name, tensor, dtype)
        content = np.frombuffer(packed(tensor.detach().cpu(), kind), dtype=np.uint8)
        found[name] = unpacked(content, kind, tuple(tensor.shape))
    return found


def _numbers(content: np.ndarray, header: GgufHeader, piece: Piece) -> Tensor:
    """One tensor of the file, in float32."""
    place = header.places[piece.name]
    return unpacked(content[place.start : place.start + place.n_bytes], place.kind.name, place.shape)


def _stacked(parts: Iterable[tuple[Piece, Tensor]]) -> Tensor:
    """One of our tensors from those of the file."""
    found = [piece.ours(numbers) for piece, numbers in parts]
    return found[0] if len(found) == 1 else torch.cat(found)


def _check_memory(header: GgufHeader, n_weights: int) -> None:
    needed = BYTES_OF_A_WEIGHT * n_weights
    if needed > usable_memory():
        raise CheckpointError(
            f"{header.path} holds {n_weights:,} weights, which take {bytes_text(needed)} while they become float32; "
            f"{bytes_text(usable_memory())} of memory can be used here"
        )


def _kind(name: str, tensor: Tensor, dtype: str) -> str:
    """What a tensor is written in when the matrices are asked for in `dtype`."""
    if tensor.dim() == 1 or name.startswith("position_embd"):
        return "F32"
    block = next(kind.block for kind in KINDS.values() if kind.name == dtype)
    return "F16" if tensor.shape[-1] % block else dtype


def _front(metadata: Mapping[str, Any], tensors: list[tuple[str, str, Tensor]]) -> bytes:
    """Everything before the first tensor."""
    numbers = {kind.name: (number, kind) for number, kind in KINDS.items()}
    parts = [MAGIC, struct.pack("<IQQ", VERSIONS[-1], len(tensors), len(metadata))]
    for name, value in metadata.items():
        parts += [_text(name), *_typed(value)]
    start = 0
    for name, kind_name, tensor in tensors:
        number, kind = numbers[kind_name]
        shape = tuple(reversed(tensor.shape))
        parts += [_text(name), struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, number, start)]
        start += -(-tensor.numel() // kind.block * kind.n_bytes // ALIGNMENT) * ALIGNMENT
    return b"".join(parts)


def _typed(value: Any) -> Iterator[bytes]:
    """A value with its type before it: bool, whole number (uint32), number (float32), text, or a list of one kind."""
    if isinstance(value, bool):
        yield struct.pack("<I?", 7, value)
    elif isinstance(value, int):
        yield struct.pack("<II", 4, value)
    elif isinstance(value, float):
        yield struct.pack("<If", 6, value)
    elif isinstance(value, str):
        yield struct.pack("<I", STRING) + _text(value)
    elif value and isinstance(value[0], int):
        yield struct.pack(f"<IIQ{len(value)}i", ARRAY, 5, len(value), *value)
    else:
        yield struct.pack("<IIQ", ARRAY, STRING, len(value))
        yield from map(_text, value)


def _text(text: str) -> bytes:
    content = text.encode()
    return struct.pack("<Q", len(content)) + content


def _pad(stream: BinaryIO) -> None:
    stream.write(b"\0" * (-stream.tell() % ALIGNMENT))
