"""Saving: a checkpoint is on the disk wholly or not at all, and the one before it stays until it is."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from chainrule.base import bytes_text, disk_faults, fsync_file, fsync_folder, require_room
from chainrule.checkpoint.manifest import MANIFEST, CheckpointManifest, FileEntry
from chainrule.checkpoint.names import stump_name
from chainrule.checkpoint.tensors import tensors_bytes, write_tensors
from chainrule.run import step_folder

STATE = "state.json"
STEM = re.compile(r"[a-z][a-z0-9_]*")
# The manifest, the heads of the files and state.json.
HEADS_BYTES = 64 << 10
COPY_BYTES = 1 << 20

Writer = Callable[[BinaryIO], str]
"""Writes a whole file to the stream and returns its SHA-256."""


def save_checkpoint(
    parent: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    copies: Sequence[Path] = (),
) -> Path:
    """Writes parent/step-00000250 whole and durable, and returns it.

    `tensors` maps a file's stem ("model", "optimizer") to its named tensors; `state` is JSON (NaN and infinity are
    refused with ValueError); `copies` are files that a reader needs besides (config.toml, tokenizer.json). When the
    step already has a checkpoint, the new one takes its place. Raises DiskError when the disk refuses: what was saved
    before is as it was, and nothing of the new one is left.
    """
    writers = _writers(tensors, state, copies)
    needed = saved_bytes(tensors, copies)
    target = step_folder(parent, step)
    require_room(parent, needed, f"saving to {target}", "Free some; what was saved before is intact.")
    with disk_faults(target, f"saving {bytes_text(needed)} to"):
        parent.mkdir(parents=True, exist_ok=True)
        unfinished = stump_name("new", target)
        try:
            unfinished.mkdir()
            entries = {name: _write_file(unfinished / name, writer) for name, writer in writers.items()}
            manifest = CheckpointManifest(step, entries).render()
            _write_file(unfinished / MANIFEST, partial(_write_bytes, manifest))
            fsync_folder(unfinished)
            _commit(unfinished, target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return target


def saved_bytes(tensors: Mapping[str, Mapping[str, Tensor]], copies: Sequence[Path] = ()) -> int:
    """Bytes that a checkpoint of these will take."""
    return sum(map(tensors_bytes, tensors.values())) + sum(path.stat().st_size for path in copies) + HEADS_BYTES


def _writers(
    tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], copies: Sequence[Path]
) -> dict[str, Writer]:
    """How each file of the checkpoint is written, by its name; everything that can be refused is refused here."""
    for stem in tensors:
        if not STEM.fullmatch(stem):
            raise ValueError(f"{stem!r} names no file of tensors; use small letters, digits and underscores")
    # sort_keys is left alone: the order of a state's keys may mean something to its owner.
    state_bytes = (json.dumps(state, indent=1, allow_nan=False) + "\n").encode()
    writers: dict[str, Writer] = {STATE: partial(_write_bytes, state_bytes)}
    writers |= {f"{stem}.safetensors": partial(write_tensors, tensors=named) for stem, named in tensors.items()}
    for path in copies:
        if path.name in writers or path.name == MANIFEST:
            raise ValueError(f"{path} cannot be copied into a checkpoint, which has its own {path.name}")
        writers[path.name] = partial(_write_copy, path)
    return writers


def _write_file(path: Path, writer: Writer) -> FileEntry:
    """Writes one new file and waits until it is on the disk."""
    with path.open("xb") as stream:
        sha256 = writer(stream)
        fsync_file(stream)
        return FileEntry(stream.tell(), sha256)


def _write_bytes(content: bytes, stream: BinaryIO) -> str:
    stream.write(content)
    return hashlib.sha256(content).hexdigest()


def _write_copy(source: Path, stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    with source.open("rb") as original:
        while part := original.read(COPY_BYTES):
            stream.write(part)
            digest.update(part)
    return digest.hexdigest()


def _commit(unfinished: Path, target: Path) -> None:
    """Gives the finished folder its name and makes that durable."""
    replaced = stump_name("old", target) if target.exists() else None
    if replaced:
        # A directory cannot be renamed over another. A kill between the two renames leaves the old one whole under
        # this name, and clean_stumps gives it back.
        target.rename(replaced)
    try:
        unfinished.rename(target)
    except OSError:
        if replaced:
            replaced.rename(target)
        raise
    fsync_folder(target.parent)
    if replaced:
        shutil.rmtree(replaced)
