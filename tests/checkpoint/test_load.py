"""Laws of loading: a changed byte is noticed, the newest whole one is found, and only what fits goes into a model."""

import hashlib
import json
import os
import random
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from chainrule.base import CheckpointError
from chainrule.checkpoint import load_checkpoint, load_weights, newest_checkpoint, save_checkpoint
from chainrule.checkpoint.load import verify_checkpoint


def save(parent: Path, step: int, size: int = 4) -> Path:
    weights = torch.randn(size, generator=torch.Generator().manual_seed(step))
    return save_checkpoint(parent, step, {"model": {"w": weights}}, {"step": step, "note": "ä b\n"})


def undetected(checkpoint: Path, places: list[tuple[Path, int, int]]) -> list[tuple[str, int, int]]:
    """The single-bit flips (file, byte, bit) with which the checkpoint still verifies."""
    missed = []
    for path, place, bit in places:
        with path.open("r+b") as stream:
            stream.seek(place)
            original = stream.read(1)
            stream.seek(place)
            stream.write(bytes([original[0] ^ 1 << bit]))
            stream.flush()
            try:
                verify_checkpoint(checkpoint)
                missed.append((path.name, place, bit))
            except CheckpointError:
                pass
            stream.seek(place)
            stream.write(original)
    verify_checkpoint(checkpoint)
    return missed


def bits(checkpoint: Path) -> list[tuple[Path, int, int]]:
    return [
        (path, place, bit)
        for path in sorted(checkpoint.iterdir())
        for place in range(path.stat().st_size)
        for bit in range(8)
    ]


def test_a_flipped_bit_in_any_file_is_noticed(tmp_path: Path) -> None:
    checkpoint = save(tmp_path, 1)
    assert undetected(checkpoint, random.Random(0).sample(bits(checkpoint), 800)) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_bit_of_a_checkpoint_is_guarded(tmp_path: Path) -> None:
    checkpoint = save(tmp_path, 1, size=1000)
    assert undetected(checkpoint, bits(checkpoint)) == []


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "checkpoint.json"])
def test_every_length_that_a_file_can_be_cut_to_is_noticed_and_named(tmp_path: Path, name: str) -> None:
    checkpoint = save(tmp_path, 1)
    whole = (checkpoint / name).read_bytes()
    for length in range(0, len(whole), 7):
        (checkpoint / name).write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=name):
            verify_checkpoint(checkpoint)


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "checkpoint.json"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    checkpoint = save(tmp_path, 1)
    (checkpoint / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        load_checkpoint(checkpoint)


def test_a_file_of_another_checkpoint_is_noticed(tmp_path: Path) -> None:
    first, second = save(tmp_path, 1), save(tmp_path, 2)
    shutil.copy(first / "model.safetensors", second / "model.safetensors")
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_checkpoint(second)


def test_the_newest_is_the_highest_step_whatever_the_clock_says(tmp_path: Path) -> None:
    for step in (9, 100_000_000, 20):
        save(tmp_path, step)
    os.utime(tmp_path / "step-100000000", (0, 0))
    newest = newest_checkpoint(tmp_path, on_reject=lambda path, why: pytest.fail(why))
    assert newest is not None and newest.step == 100_000_000


def test_a_damaged_newest_is_passed_over_with_its_reason(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    (tmp_path / "step-00000004" / "checkpoint.json").unlink()
    content = bytearray((tmp_path / "step-00000003" / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "step-00000003" / "model.safetensors").write_bytes(content)
    rejected: dict[str, str] = {}
    newest = newest_checkpoint(tmp_path, on_reject=lambda path, why: rejected.update({path.name: why}))
    assert newest is not None and newest.step == 2
    assert list(rejected) == ["step-00000004", "step-00000003"]
    assert "not a whole one" in rejected["step-00000004"] and "model.safetensors" in rejected["step-00000003"]


def test_a_folder_renamed_to_a_higher_step_is_not_believed(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2).rename(tmp_path / "step-00000009")
    newest = newest_checkpoint(tmp_path, on_reject=lambda path, why: None)
    assert newest is not None and newest.step == 1


@pytest.mark.parametrize("exists", [True, False])
def test_no_checkpoint_is_none(tmp_path: Path, exists: bool) -> None:
    parent = tmp_path if exists else tmp_path / "absent"
    assert newest_checkpoint(parent, on_reject=lambda path, why: pytest.fail(why)) is None


def forge(checkpoint: Path, **changes: object) -> None:
    """Rewrites the manifest with other fields and a checksum that fits them."""
    path = checkpoint / "checkpoint.json"
    fields = {**json.loads(path.read_text()), **changes}
    del fields["sha256"]
    fields["sha256"] = hashlib.sha256(json.dumps(fields).encode()).hexdigest()
    path.write_text(json.dumps(fields, indent=2) + "\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "use a newer chainrule"),
        ({"format": 0}, "formats start at 1"),
        ({"format": "1"}, "not a manifest"),
        ({"step": "1"}, "damaged"),
        ({"files": []}, "damaged"),
        ({"files": {"../../etc/passwd": {"bytes": 1, "sha256": "0"}}}, "damaged"),
        ({"files": {"a": {"bytes": 1}}}, "damaged"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    checkpoint = save(tmp_path, 1)
    forge(checkpoint, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("content", [b"", b"[]", b"[" * 100_000, b"\xff", b"{}", b"null", b"PK\x03\x04"])
def test_a_foreign_file_in_the_manifests_place_is_refused(tmp_path: Path, content: bytes) -> None:
    checkpoint = save(tmp_path, 1)
    (checkpoint / "checkpoint.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="checkpoint"):
        load_checkpoint(checkpoint)


def test_unverified_loading_still_names_a_cut_file(tmp_path: Path) -> None:
    checkpoint = save(tmp_path, 1)
    (checkpoint / "model.safetensors").write_bytes(b"\x00" * 9)
    loaded = load_checkpoint(checkpoint, verify=False)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        loaded.tensors("model")


def test_tensors_that_a_checkpoint_lacks_are_said_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no 'optimizer'.*only: model"):
        load_checkpoint(save(tmp_path, 1)).tensors("optimizer")


def test_the_first_format_is_still_read() -> None:
    golden = Path(__file__).parent / "golden" / "format-1" / "step-00000007"
    loaded = load_checkpoint(golden)
    assert (loaded.step, loaded.state) == (7, {"samples": 28, "note": "written by the first version"})
    assert torch.equal(loaded.tensors("model")["w"], torch.arange(6.0).view(2, 3) / 2)


def test_tensors_are_plain_safetensors(tmp_path: Path) -> None:
    ours = save_checkpoint(tmp_path, 1, {"model": {"b": torch.ones(2), "a": torch.zeros(3).half()}}, {})
    save_file({"b": torch.ones(2), "a": torch.zeros(3).half()}, tmp_path / "theirs.safetensors")
    assert (ours / "model.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()


def test_fitting_weights_are_loaded() -> None:
    model = nn.Linear(2, 3)
    weights = {"weight": torch.randn(3, 2), "bias": torch.randn(3)}
    load_weights(model, weights, "here")
    assert torch.equal(model.weight, weights["weight"]) and torch.equal(model.bias, weights["bias"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"weight": torch.zeros(3, 2)}, "missing: bias"),
        ({"weight": torch.zeros(3, 2), "bias": torch.zeros(3), "more": torch.zeros(1)}, "not in this model: more"),
        ({"weight": torch.zeros(2, 3), "bias": torch.zeros(3)}, r"weight float32 \[2, 3\] instead of float32 \[3, 2\]"),
        ({"weight": torch.zeros(3, 2).bfloat16(), "bias": torch.zeros(3)}, r"weight bfloat16 \[3, 2\]"),
    ],
)
def test_unfitting_weights_are_refused_by_name_and_change_nothing(
    weights: dict[str, torch.Tensor], message: str
) -> None:
    model = nn.Linear(2, 3)
    before = model.weight.clone()
    with pytest.raises(CheckpointError, match=message):
        load_weights(model, weights, "here")
    assert torch.equal(model.weight, before)
