"""An exported folder lists its files: one that was damaged is named by whoever opens the model."""

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from finetune_models import learn, made, opened

from chainrule.base import CheckpointError, sums_of, write_sums
from chainrule.checkpoint import (
    adapted_beside,
    check_listed,
    open_adapted,
    open_model,
    put_adapter,
    read_tensors,
    save_adapter,
    write_tensors,
)
from chainrule.export import export
from chainrule.export.gguf import write_gguf_folder
from chainrule.model import LoraSettings, add_lora


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("listed") / "out"
    export(opened(made("llama")), folder)
    return folder


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_each_damaged_file_is_named_and_a_card_may_be_edited(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "out"))
    (folder / "README.md").write_text("# mine")
    before = open_model(folder)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "generation_config.json"):
        flip(folder / name, (folder / name).stat().st_size // 2)
        with pytest.raises(CheckpointError, match=rf"{name} was damaged or changed"):
            open_model(folder)
        flip(folder / name, (folder / name).stat().st_size // 2)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"tokenizer_config\.json was damaged"):
        open_model(folder)
    shutil.copy(exported / "tokenizer_config.json", folder)
    assert torch.equal(before.model.token_embedding.weight, open_model(folder).model.token_embedding.weight)


def test_a_damaged_list_is_no_list_and_one_of_other_people_is_read(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "out"))
    flip(folder / "SHA256SUMS", 3)
    with pytest.raises(CheckpointError, match="SHA256SUMS is damaged"):
        open_model(folder)
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".json")
    lines = [f"{digest} *{name}\n" for name, (digest,) in sums_of(folder, names).items()]
    (folder / "SHA256SUMS").write_text("".join(lines))
    open_model(folder)
    flip(folder / "config.json", 9)
    with pytest.raises(CheckpointError, match=r"config\.json was damaged"):
        open_model(folder)


def test_a_list_that_was_removed_is_missed_and_one_that_never_was_is_not(exported, tmp_path):
    folder = Path(shutil.copytree(exported, tmp_path / "out"))
    assert open_model(folder).unchecked == ()
    (folder / "SHA256SUMS").unlink()
    (told,) = open_model(folder).unchecked
    assert "SHA256SUMS, the list of checksums that the model was written with, is gone" in told
    weights = read_tensors(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()  # not written over: it is mapped
    with (folder / "model.safetensors").open("xb") as stream:
        write_tensors(stream, weights, {"format": "pt"})  # as other tools write it
    assert open_model(folder).unchecked == ()
    (folder / "SHA256SUMS").mkdir()
    with pytest.raises(CheckpointError, match="SHA256SUMS is damaged"):
        open_model(folder)


def test_a_gguf_file_and_an_adapter_miss_their_list(tmp_path):
    pytest.importorskip("gguf")
    base = opened(made("llama"))
    (tmp_path / "out").mkdir()
    write_gguf_folder(base, tmp_path / "out", dtype="F32")
    assert "is gone" in open_model(tmp_path / "out" / "model.gguf").unchecked[0]
    write_sums(tmp_path / "out", sums_of(tmp_path / "out", ["model.gguf"]))
    assert open_model(tmp_path / "out" / "model.gguf").unchecked == ()
    add_lora(base.model, LoraSettings(2), seed=1)
    learn(base.model)
    save_adapter(base.model, tmp_path / "adapter")
    assert open_adapted(opened(made("llama")), tmp_path / "adapter").unchecked == ()
    (tmp_path / "adapter" / "SHA256SUMS").unlink()
    assert "is gone" in open_adapted(opened(made("llama")), tmp_path / "adapter").unchecked[0]
    assert "is gone" in adapted_beside(opened(made("llama")), tmp_path / "adapter").unchecked[0]


def test_sha256sum_reads_the_list(exported):
    if shutil.which("sha256sum") is None:
        pytest.skip("no sha256sum here")
    subprocess.run(["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=exported, check=True, capture_output=True)


def test_a_damaged_adapter_is_named(tmp_path):
    model = made("llama")
    add_lora(model, LoraSettings(2), seed=1)
    learn(model)
    save_adapter(model, tmp_path / "adapter")
    flip(tmp_path / "adapter" / "adapter_model.safetensors", -1)
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors was damaged"):
        put_adapter(made("llama"), tmp_path / "adapter")


def test_a_list_of_two_checksums_takes_either(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    old = sums_of(tmp_path, ["a"])["a"]
    (tmp_path / "a").write_bytes(b"new")
    write_sums(tmp_path, {"a": (*old, *sums_of(tmp_path, ["a"])["a"])})
    for content in (b"old", b"new"):
        (tmp_path / "a").write_bytes(content)
        check_listed(tmp_path)
    (tmp_path / "a").write_bytes(b"neither")
    with pytest.raises(CheckpointError):
        check_listed(tmp_path)
