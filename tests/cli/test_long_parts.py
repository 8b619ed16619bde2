"""What is longer, deeper or more than any honest file has is refused before it is parsed; what is honest is read."""

import struct
import zipfile

import pytest
import torch

from chainrule.base import ChainruleError
from chainrule.checkpoint import open_model, read_tensors, write_tensors
from chainrule.cli import main
from chainrule.config import load_toml
from chainrule.tokenizer import load_tokenizer


def test_a_configuration_of_a_megabyte_is_not_parsed(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("[[a]]\n" * 400_000)
    with pytest.raises(ChainruleError, match=r"longer than 512.0 KiB"):
        load_toml(path)


def test_a_tokenizer_longer_than_any_is_not_parsed(tmp_path):
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:  # a hole in the file system, not a megabyte of it written
        file.write(b'{"model":{"type":"BPE","vocab":{"')
        file.truncate(71 << 20)
    with pytest.raises(ChainruleError, match=r"longer than 32.0 MiB"):
        load_tokenizer(path)


def test_a_header_longer_than_those_of_models_is_not_parsed(tmp_path):
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 90 << 20) + b'{"a":')
        file.truncate(91 << 20)
    with pytest.raises(ChainruleError, match=r"promises 90.0 MiB, and 16.0 MiB are read"):
        read_tensors(path)
    many = {f"model.layers.{number}.a_name_as_long_as_they_are.weight": torch.ones(1) for number in range(2_000)}
    with path.open("wb") as file:
        write_tensors(file, many)
    assert len(read_tensors(path)) == 2_000


def test_more_metadata_than_any_model_has_is_not_read(tmp_path):
    path, n = tmp_path / "x.gguf", 200_000
    pair = struct.pack("<Q", 1) + b"a" + struct.pack("<II", 4, 1)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, n) + pair * n)
    with pytest.raises(ChainruleError, match="has 200,000 entries of metadata; lists of up to 131,072"):
        open_model(path)


def test_xml_that_is_nested_without_end_is_refused(tmp_path, monkeypatch, capsys):
    pytest.importorskip("defusedxml")
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("x.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<a>" * 100_001 + "</a>" * 100_001)
    assert main(["prepare", "x.docx", "--machine.cache", "c"]) == 2
    assert "nested deeper than 100,000 elements" in capsys.readouterr().err


def page_text(page: str) -> str:
    pytest.importorskip("selectolax")
    from chainrule.data.web_pages import page_text as text_of

    return text_of(page.encode())


@pytest.mark.parametrize(
    "deep",
    ["<div>", "<b><i><u>", "<a><b>", "<div></b>", "<div><table><td></div>", "<table></div>", "<span></p>", "<DIV>x"],
)
def test_a_page_that_is_nested_without_end_is_refused(deep):
    with pytest.raises(ValueError, match="stand in each other without end"):
        page_text(deep * 180_000)


@pytest.mark.parametrize(
    "part",
    [
        "<p>a paragraph<br>that nobody ends",
        "<ul><li>one<li>two</ul>",
        "<table><tr><td>a<td>b</table>",
        "<div><span>forgotten</div>",
        "<dl><dt>a<dd>b</dl><hr><img src=x>",
        "<div><p><b>bold</b></div>",
    ],
)
def test_a_long_page_as_people_write_them_is_read(part):
    words = page_text(f"<html><body>{part * 12_000}</body></html>")
    assert len(words.split()) >= 12_000
