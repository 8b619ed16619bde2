"""Loading: only what verifies, and into a model only what fits it by name, shape and type."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from chainrule.base import CheckpointError, DiskError, disk_faults
from chainrule.checkpoint.manifest import CheckpointManifest, read_manifest, verify_files
from chainrule.checkpoint.save import STATE
from chainrule.checkpoint.tensors import read_tensors
from chainrule.run import step_folder, steps_of

NAMES_SHOWN = 5


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk: its folder, its step and its small state; the tensors are read when asked for."""

    path: Path
    step: int
    state: Mapping[str, Any]
    files: tuple[str, ...]

    @property
    def stems(self) -> tuple[str, ...]:
        """What its files of tensors are called: "model", "optimizer"."""
        return tuple(name.removesuffix(".safetensors") for name in self.files if name.endswith(".safetensors"))

    def tensors(self, stem: str) -> dict[str, Tensor]:
        """The named tensors of one file ("model", "optimizer"), on the CPU; raises CheckpointError when absent."""
        if stem not in self.stems:
            raise CheckpointError(f"{self.path} holds no {stem!r}, only: {', '.join(sorted(self.stems))}")
        return read_tensors(self.path / f"{stem}.safetensors")


def verify_checkpoint(path: Path) -> CheckpointManifest:
    """The manifest of a checkpoint of which every byte is as it was saved; raises CheckpointError naming the file."""
    manifest = read_manifest(path)
    verify_files(path, manifest)
    return manifest


def load_checkpoint(path: Path, *, verify: bool = True) -> Checkpoint:
    """Opens a checkpoint; with `verify` every byte is compared with its checksum first."""
    manifest = verify_checkpoint(path) if verify else read_manifest(path)
    state_path = path / STATE
    if not state_path.is_file():  # a pipe would be waited for
        raise CheckpointError(f"{state_path} is missing; the checkpoint is not whole")
    with disk_faults(state_path, "reading"):
        try:
            state = json.loads(state_path.read_bytes())
        except (ValueError, RecursionError, FileNotFoundError) as fault:
            raise CheckpointError(f"{state_path} is damaged: {fault}") from fault
    return Checkpoint(path, manifest.step, state, tuple(manifest.files))


def verified_state(path: Path) -> Mapping[str, Any]:
    """The small state of a checkpoint, itself verified and the tensors not; raises CheckpointError when damaged."""
    verified_file(path, STATE)
    return load_checkpoint(path, verify=False).state


def verified_file(folder: Path, name: str) -> Path:
    """One file of a checkpoint, itself verified and the others not; CheckpointError when it is damaged or not there."""
    manifest = read_manifest(folder)
    if name not in manifest.files:
        raise CheckpointError(f"{folder} has no {name}")
    verify_files(folder, CheckpointManifest(manifest.step, {name: manifest.files[name]}))
    return folder / name


def newest_checkpoint(parent: Path, *, on_reject: Callable[[Path, str], None]) -> Checkpoint | None:
    """The checkpoint of the highest step that verifies; None when there is none.

    Each that is damaged or unreadable is passed to `on_reject` with the reason. The order is by step, never by time.
    """
    for step in reversed(steps_of(parent)):
        path = step_folder(parent, step)
        try:
            checkpoint = load_checkpoint(path)
            if checkpoint.step != step:
                raise CheckpointError(f"{path} holds step {checkpoint.step}; it was renamed by hand")
        except (CheckpointError, DiskError) as fault:
            on_reject(path, str(fault))
        else:
            return checkpoint
    return None


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copies `tensors` into the model's parameters and buffers of the same names.

    torch would cast another type silently and broadcast nothing; here names, shapes and types must all be equal.
    Raises CheckpointError with the names that are not; `source` says where the tensors came from.
    """
    check_weights(model, tensors, source)
    model.load_state_dict(dict(tensors))


def check_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Raises CheckpointError unless `load_weights` can do it; the model may be on `meta`, without any memory yet."""
    own = model.state_dict()
    problems = _difference("missing", own.keys() - tensors.keys())
    problems += _difference("not in this model", tensors.keys() - own.keys())
    shared = sorted(own.keys() & tensors.keys())
    problems += _difference(
        "of another shape or type",
        [
            f"{name} {_described(tensors[name])} instead of {_described(own[name])}"
            for name in shared
            if tensors[name].shape != own[name].shape or tensors[name].dtype != own[name].dtype
        ],
    )
    if problems:
        raise CheckpointError(f"{source} does not fit this model; " + "; ".join(problems))


def _difference(what: str, names: Any) -> list[str]:
    if not names:
        return []
    shown = ", ".join(sorted(names)[:NAMES_SHOWN])
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return [f"{what}: {shown}{more}"]


def _described(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
