"""A GGUF export is what our own reader and llama.cpp read and compute the same with, or it is not there."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint.gguf_models import FAMILIES, gguf_of, small_model, words
from small_disk import SmallDisk

from chainrule.base import FLOOR_BYTES, ConfigError, DiskError, ExportError, MissingPackageError
from chainrule.checkpoint import open_model, save_checkpoint
from chainrule.config import Config, to_toml
from chainrule.export import export, gguf, llama_cpp
from chainrule.run import RunFolder

FILES = {"model.gguf", "Modelfile", "README.md", "SHA256SUMS"}
HAS_LLAMA_CPP = importlib.util.find_spec("xllamacpp") is not None


def make_run(folder: Path, family: str) -> RunFolder:
    run = RunFolder(folder)
    run.path.mkdir()
    tokenizer = words()
    model = small_model(family, tokenizer.vocab_size)
    run.config.write_text(to_toml(Config(model=model.config)))
    tokenizer.save(run.tokenizer)
    save_checkpoint(run.checkpoints, 7, {"model": model.state_dict()}, {}, [run.config, run.tokenizer])
    return run


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without xllamacpp, as most people are."""
    monkeypatch.setitem(sys.modules, "xllamacpp", None)


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("family", FAMILIES)
def test_an_export_opens_as_the_model_that_was_trained(tmp_path: Path, family: str) -> None:
    run = make_run(tmp_path / "run", family)
    proof = export(run.path, tmp_path / "out", "gguf", dtype="f32")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert proof.read_by == "chainrule's own reader" and proof.folder == tmp_path / "out"
    assert proof.largest_difference <= 1e-5 and proof.rounding_difference == 0 and proof.n_greedy_tokens > 50
    opened = open_model(tmp_path / "out" / "model.gguf")
    assert opened.tokenizer.fingerprint == words().fingerprint
    ids = torch.arange(48)[None]
    assert torch.allclose(opened.model(ids), open_model(run.path).model(ids), atol=1e-5)


@pytest.mark.usefixtures("alone")
def test_what_rounding_costs_is_said_and_the_card_speaks_of_its_own_readers(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", "llama")
    sizes, cost = {}, {}
    for dtype in ("f32", "f16", "q8_0"):
        cost[dtype] = export(run.path, tmp_path / dtype, "gguf", dtype=dtype).rounding_difference
        sizes[dtype] = (tmp_path / dtype / "model.gguf").stat().st_size
    assert 0 == cost["f32"] < cost["f16"] < cost["q8_0"] < 0.5
    assert sizes["f32"] > 1.8 * sizes["f16"] > 1.6 * sizes["q8_0"]
    card = (tmp_path / "q8_0" / "README.md").read_text()
    assert "transformers" not in card and "library_name: gguf" in card
    assert "ollama create" in card and "rounded as this format rounds them" in card and "step 7" in card
    assert (tmp_path / "q8_0" / "Modelfile").read_text().startswith("FROM ./model.gguf\nPARAMETER num_ctx 48\n")


@pytest.mark.skipif(not HAS_LLAMA_CPP, reason="xllamacpp is not installed")
@pytest.mark.parametrize("family", FAMILIES)
def test_llama_cpp_reads_the_same_ids_and_writes_the_same_greedy_text(tmp_path: Path, family: str) -> None:
    run = make_run(tmp_path / "run", family)
    proof = export(run.path, tmp_path / "out", "gguf", dtype="f32")
    assert proof.read_by.startswith("chainrule's own reader, and llama.cpp (xllamacpp ")
    assert proof.n_greedy_tokens > 100


@pytest.mark.skipif(not HAS_LLAMA_CPP, reason="xllamacpp is not installed")
@pytest.mark.parametrize("dtype", ["f16", "q8_0"])
def test_llama_cpp_agrees_on_rounded_weights_too(tmp_path: Path, dtype: str) -> None:
    export(make_run(tmp_path / "run", "llama").path, tmp_path / "out", "gguf", dtype=dtype)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES


def test_what_is_read_back_as_another_model_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", "llama")
    written = gguf.write_gguf

    def swapped(path: Path, model: Any, *rest: Any, **more: Any) -> None:
        with torch.no_grad():
            model.blocks[0].attention.qkv.weight[0] += 0.5
        written(path, model, *rest, **more)
        with torch.no_grad():
            model.blocks[0].attention.qkv.weight[0] -= 0.5

    monkeypatch.setattr(gguf, "write_gguf", swapped)
    with pytest.raises(ExportError, match="logits differ by up to"):
        export(run.path, tmp_path / "out", "gguf", dtype="f32")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_another_greedy_text_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        name = "another tool"

        def encode(self, text: str) -> list[int]:
            return words().encode(text)

        def greedy(self, ids: Any, count: int, never: Any = ()) -> list[int]:
            return [5] * count

    monkeypatch.setattr(llama_cpp.LlamaCpp, "open", lambda *_: Other())
    with pytest.raises(ExportError, match=r"another tool .* writes \[5\]"):
        export(make_run(tmp_path / "run", "llama").path, tmp_path / "out", "gguf")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("alone")
def test_a_gguf_can_be_exported_again_and_to_hugging_face(tmp_path: Path) -> None:
    model = gguf_of(tmp_path / "model.gguf", "qwen2")
    export(tmp_path / "model.gguf", tmp_path / "again", "gguf", dtype="f32")
    export(tmp_path / "model.gguf", tmp_path / "hf", "hf")
    assert json.loads((tmp_path / "hf" / "config.json").read_text())["architectures"] == ["Qwen2ForCausalLM"]
    for source in (tmp_path / "again" / "model.gguf", tmp_path / "hf"):
        ids = torch.arange(40)[None]
        assert torch.allclose(open_model(source).model(ids), model(ids), atol=1e-5)


@pytest.mark.parametrize(
    ("target", "dtype", "message"),
    [
        ("gguf", "q4_0", r"gguf is not written in 'q4_0'.*q8_0.* Use f16, f32, q8_0"),
        ("hf", "f16", "hf is not written in 'f16'.*leave --dtype out"),
        ("ggu", None, r"'ggu' is no format to export to\..*gguf"),
    ],
)
def test_a_format_that_is_none_is_said_with_those_that_are(
    tmp_path: Path, target: str, dtype: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export(tmp_path, tmp_path / "out", target, dtype=dtype)


def test_without_gguf_the_remedy_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingPackageError, match=r"export to GGUF needs gguf: pip install 'chainrule\[gguf\]'"):
        export(tmp_path, tmp_path / "out", "gguf")


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize(("target", "dtype"), [("hf", None), ("gguf", "f32"), ("gguf", "f16"), ("gguf", "q8_0")])
def test_a_folder_without_room_is_refused_before_its_first_byte(tmp_path: Path, target: str, dtype: str | None) -> None:
    opened = open_model(make_run(tmp_path / "run", "llama").path)
    numbers = sum(one.numel() for one in opened.model.parameters())
    size = {"f16": 2.0, "q8_0": 34 / 32}.get(dtype or "", 4.0) * numbers
    disk = SmallDisk(tmp_path / "disk", 8 << 20)
    try:
        disk.leave(FLOOR_BYTES + int(size) // 4096 * 4096 - 4096)
        with pytest.raises(
            DiskError, match=r" free, and 4\.\d MiB are needed for the model in the format of .*Free some"
        ):
            export(opened, disk.folder / "out", target, dtype=dtype)
        assert [path.name for path in disk.folder.iterdir()] == ["others.bin"]
        disk.leave(FLOOR_BYTES + int(size) + 4096)
        export(opened, disk.folder / "out", target, dtype=dtype)
    finally:
        disk.close()
