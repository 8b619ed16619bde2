"""Laws of saving: whole or absent, equal after the way back, and the old one stays when the new one fails."""

import errno
import os
import resource
from pathlib import Path

import pytest
import torch
from torch import Tensor

from chainrule.base import CheckpointError, DiskError
from chainrule.checkpoint import load_checkpoint, save_checkpoint

STATE = {"step": 3, "loss": 2.5, "words": ["ä", "\u2028"], "none": None}


def tensors() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "matrix": torch.randn(3, 5, generator=generator),
        "transposed": torch.randn(4, 6, generator=generator).T,
        "scalar": torch.tensor(7.0),
        "one of two": torch.tensor([1.0, 2.0])[::2],
        "empty": torch.empty(0, 4),
        "half": torch.randn(3, generator=generator).bfloat16(),
        "odd": torch.arange(3, dtype=torch.uint8),
        "flags": torch.tensor([True, False, True]),
        "long": torch.tensor([2**62 + 1]),
        "double": torch.randn(2, generator=generator, dtype=torch.float64),
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_saved_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 3, {"model": tensors(), "rng": {"cpu": torch.get_rng_state()}}, STATE)
    loaded = load_checkpoint(path)
    assert (loaded.step, loaded.state, path.name) == (3, STATE, "step-00000003")
    back = loaded.tensors("model")
    assert back.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name
    assert torch.equal(loaded.tensors("rng")["cpu"], torch.get_rng_state())


def test_files_that_a_reader_needs_are_copied(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("x = 1\n")
    path = save_checkpoint(tmp_path / "checkpoints", 1, {"model": tensors()}, {}, [config])
    assert names(path) == ["checkpoint.json", "config.toml", "model.safetensors", "state.json"]
    assert (path / "config.toml").read_text() == "x = 1\n"


def test_names_lose_the_prefixes_of_compile_and_ddp(tmp_path: Path) -> None:
    wrapped = {"module._orig_mod.head.weight": torch.ones(2), "blocks.0._orig_mod.out.weight": torch.zeros(2)}
    path = save_checkpoint(tmp_path, 1, {"model": wrapped}, {})
    assert load_checkpoint(path).tensors("model").keys() == {"head.weight", "blocks.0.out.weight"}


def test_two_names_that_become_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="the same name"):
        save_checkpoint(tmp_path, 1, {"model": {"a": torch.ones(1), "_orig_mod.a": torch.ones(1)}}, {})


def test_saving_a_step_again_takes_the_place_of_the_first(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, {"model": {"w": torch.zeros(1)}}, {})
    path = save_checkpoint(tmp_path, 5, {"model": {"w": torch.ones(1)}}, {})
    assert load_checkpoint(path).tensors("model")["w"].item() == 1
    assert names(tmp_path) == ["step-00000005"]


@pytest.mark.parametrize("state", [{"loss": float("nan")}, {"loss": float("inf")}, {"what": {1, 2}}])
def test_a_state_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path, state: dict) -> None:
    with pytest.raises((ValueError, TypeError)):
        save_checkpoint(tmp_path, 1, {"model": tensors()}, state)
    assert names(tmp_path) == []


@pytest.mark.parametrize("stem", ["../model", "Model", "", "a b"])
def test_a_stem_that_is_no_plain_name_is_refused(tmp_path: Path, stem: str) -> None:
    with pytest.raises(ValueError, match="names no file"):
        save_checkpoint(tmp_path, 1, {stem: tensors()}, {})


@pytest.mark.parametrize("name", ["state.json", "checkpoint.json", "model.safetensors"])
def test_a_copy_never_hides_a_file_of_the_checkpoint(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match="its own"):
        save_checkpoint(tmp_path / "out", 1, {"model": tensors()}, {}, [tmp_path / name])


@pytest.mark.parametrize("call", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_refused_fsync_leaves_the_old_one_and_no_stump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: int
) -> None:
    old = save_checkpoint(tmp_path, 1, {"model": tensors()}, STATE)
    calls = 0

    def fsync(handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(DiskError, match="saved before is intact"):
        save_checkpoint(tmp_path, 2, {"model": tensors()}, STATE)
    monkeypatch.undo()
    # The fifth is the parent's: by then the new one is whole under its name, only a power cut could still take it.
    assert names(tmp_path) == (["step-00000001", "step-00000002"] if call == 5 else ["step-00000001"])
    assert load_checkpoint(old).state == STATE


def test_no_room_is_said_with_both_numbers_before_the_first_byte(tmp_path: Path) -> None:
    petabytes = torch.zeros(1).expand(2**50)  # one number in memory, 4 PiB on a disk
    with pytest.raises(DiskError, match=r" free, and 4096\.0 TiB are needed for saving to .*step-00000002"):
        save_checkpoint(tmp_path, 2, {"model": {"w": petabytes}}, STATE)
    assert names(tmp_path) == []


def test_a_write_that_the_disk_refuses_in_the_middle_leaves_the_old_one_and_no_stump(tmp_path: Path) -> None:
    old = save_checkpoint(tmp_path, 1, {"model": tensors()}, STATE)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(DiskError, match="larger than allowed"):
            save_checkpoint(tmp_path, 2, {"model": {"w": torch.zeros(1 << 16)}}, STATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["step-00000001"]
    assert load_checkpoint(old).state == STATE
