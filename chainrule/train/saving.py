"""A checkpoint written while training goes on: the state is copied between two steps, a thread does the rest.

What is written is bit for bit what a save that training waits for would write, by the same protocol: whole or absent.
"""

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from chainrule.base import DeviceError, available_memory, bytes_text
from chainrule.checkpoint import prune_checkpoints, save_checkpoint
from chainrule.config import Config
from chainrule.device import MachineFacts
from chainrule.plan import copy_bytes, memory_bytes
from chainrule.train.room import Home

Tensors = Mapping[str, Mapping[str, Tensor]]
# Below this a thread saves nothing worth having: a checkpoint of 32 MiB is on the disk within a few steps' time, and a
# copy of it costs as much memory as the model (benchmarks/save_cost.py).
WORTH_BYTES = 32 << 20


@dataclass(frozen=True)
class Draft:
    """All that goes into a checkpoint and what may go when it is there; `tensors` may share memory with the state."""

    parent: Path
    step: int
    tensors: Tensors
    state: Mapping[str, Any]
    copies: tuple[Path, ...]
    keep_last: int
    keep: tuple[int, ...]
    home: Home | None = None

    def write(self) -> Path:
        """The checkpoint whole and durable; then older ones go. Raises DiskError when the disk refuses."""
        if self.home is not None:
            self.home.check()
        path = save_checkpoint(self.parent, self.step, self.tensors, self.state, self.copies)
        prune_checkpoints(self.parent, self.keep_last, self.keep)
        return path


@dataclass(frozen=True)
class Written:
    """What became of a draft: where it is, or why it is not; and the seconds that it took."""

    draft: Draft
    seconds: float
    path: Path | None
    fault: Exception | None


@dataclass
class HostCopy:
    """Memory that a state is copied into, the same from save to save: new pages cost more than their bytes."""

    buffers: dict[tuple[str, str], Tensor] = field(default_factory=dict)

    def of(self, tensors: Tensors) -> dict[str, dict[str, Tensor]]:
        """A copy that the next update does not move; it is void at the next call."""
        return {
            stem: {name: self._filled((stem, name), tensor) for name, tensor in named.items()}
            for stem, named in tensors.items()
        }

    def _filled(self, key: tuple[str, str], tensor: Tensor) -> Tensor:
        there = self.buffers.get(key)
        if there is None or there.shape != tensor.shape or there.dtype != tensor.dtype:
            # Pinned, a GPU writes into it at the bus's speed.
            there = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
            self.buffers[key] = there
        return there.copy_(tensor.detach())


class Background:
    """Writes one draft at a time in a thread of its own."""

    def __init__(self) -> None:
        self._copy = HostCopy()
        self._executor = ThreadPoolExecutor(1, "save")
        self._draft: Draft | None = None
        self._future: Future[tuple[Path, float]] | None = None
        self._began = 0.0

    def start(self, draft: Draft) -> None:
        """Copies the state of the draft and begins to write it; the one before must be settled."""
        assert self._future is None, "at most one is on its way"
        self._draft = replace(draft, tensors=self._copy.of(draft.tensors))
        self._future = self._executor.submit(_timed, self._draft)

    def settled(self, *, wait: bool) -> Written | None:
        """What became of the draft on its way; None when there is none, or it is not done and `wait` is not set."""
        future, draft = self._future, self._draft
        if future is None or draft is None or not (wait or future.done()):
            return None
        fault = future.exception()
        self._future = self._draft = None
        if fault is not None and not isinstance(fault, Exception):
            raise fault
        path, seconds = (None, 0.0) if fault else future.result()
        return Written(draft, seconds, path, fault)

    def close(self) -> None:
        """Ends the thread, which is not writing, and gives the memory back."""
        self._executor.shutdown()
        self._copy = HostCopy()


def _timed(draft: Draft) -> tuple[Path, float]:
    began = time.perf_counter()
    return draft.write(), time.perf_counter() - began


def background_for(
    config: Config, facts: MachineFacts, micro_batch: int, learning: int | None = None
) -> tuple[Background | None, str | None]:
    """What saves in the background, or None where training waits for its saves; and a sentence, where one is due.

    `training.background_saves` says whether: "auto" where a checkpoint is worth it and the memory holds a copy. Raises
    DeviceError for "on" where it does not.
    """
    asked, size = config.training.background_saves, copy_bytes(config, learning)
    if asked == "off" or (asked == "auto" and size < WORTH_BYTES):
        return None, None
    left = _memory_left(config, facts, micro_batch, learning)
    if size <= left:
        return Background(), None
    lacking = f"a copy of the state takes {bytes_text(size)} of memory, and training leaves {bytes_text(max(0, left))}"
    if asked == "on":
        raise DeviceError(f"training.background_saves = on: {lacking}; use auto or off, and training waits for saves")
    return None, f"training waits for its saves: {lacking}"


def _memory_left(config: Config, facts: MachineFacts, micro_batch: int, learning: int | None) -> int:
    """Bytes of the machine's own memory beside training; a GPU has its own."""
    if facts.device == "cuda":
        return available_memory()
    alone = config.model_copy(update={"training": config.training.model_copy(update={"background_saves": "off"})})
    need = memory_bytes(
        alone, micro_batch=micro_batch, precision=facts.precision, device=facts.device, learning=learning
    )
    return facts.memory_bytes - need.total
