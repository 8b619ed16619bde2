"""Small files that would take long, or much memory, are refused by a sentence before they do."""

import gzip
import io
import json
import subprocess
import sys
import zipfile

import pytest

from chainrule.base import ChainruleError, refuse_crowded, settings_json
from chainrule.checkpoint import open_model
from chainrule.cli import main


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    code = main(words)
    said = capsys.readouterr().err
    assert code == 2 and "Traceback" not in said
    return said


def prepared(path) -> list[str]:
    return ["prepare", str(path), "--machine.cache", str(path.parent / "cache"), "--vocabulary.kind", "bytes"]


def test_json_that_is_all_brackets_is_not_parsed(tmp_path, capsys):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + b'{"text": [' + b"{}," * 1_700_000 + b"{}]}\n")
    assert "a.jsonl:2: 4.9 MiB of brackets and commas" in refused(prepared(path), capsys)
    refuse_crowded(json.dumps({"text": "Words, and so on {of any kind}. " * 1_000_000}).encode())


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("content", [b'{"a":[' + b"{}," * 1_700_000 + b"{}]}", b'{"a":"' + b"a" * (17 << 20) + b'"}'])
def test_settings_of_a_model_that_are_no_settings_are_not_parsed(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"brackets and commas|longer than 16\.0 MiB"):
        settings_json(tmp_path / name)


def test_a_model_with_settings_of_megabytes_is_refused_by_name(tmp_path):
    (tmp_path / "config.json").write_bytes(b'{"a":[' + b"{}," * 1_700_000 + b"{}]}")
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    with pytest.raises(ChainruleError, match=r"config\.json .*brackets and commas"):
        open_model(tmp_path)


def test_a_table_of_more_rows_than_bytes_is_refused(tmp_path, capsys):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": arrow.nulls(1_000_000, arrow.string())}), tmp_path / "a.parquet")
    assert "hold 1,000,000 rows" in refused(prepared(tmp_path / "a.parquet"), capsys)


def test_an_archive_is_a_bomb_whatever_lies_beside_it(tmp_path, capsys):
    pytest.importorskip("defusedxml")
    path = tmp_path / "a.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"<p/>" * (5 << 18))
        archive.writestr("picture", bytes(range(256)) * 400, zipfile.ZIP_STORED)
    assert "compression bomb" in refused(prepared(path), capsys)


def test_a_book_that_names_one_chapter_again_and_again_is_refused(tmp_path, capsys):
    pytest.importorskip("defusedxml")
    pytest.importorskip("selectolax")
    item_references = '<itemref idref="a"/>' * 20_000
    item = '<item id="a" href="a.html" media-type="text/html"/>'
    with zipfile.ZipFile(tmp_path / "a.epub", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr("META-INF/container.xml", '<c><rootfile full-path="p"/></c>')
        archive.writestr("p", f"<p><m>{item}</m><s>{item_references}</s></p>")
        archive.writestr("a.html", "")
    assert "compression bomb" in refused(prepared(tmp_path / "a.epub"), capsys)


def test_a_page_of_a_million_tags_is_refused(tmp_path, capsys):
    pytest.importorskip("selectolax")
    path = tmp_path / "a.html"
    path.write_bytes(b"<html><body>" + b"<br>" * 1_000_000)
    assert "1,000,002 tags" in refused(prepared(path), capsys)


def test_rich_text_of_open_braces_is_refused(tmp_path, capsys):
    pytest.importorskip("striprtf")
    (tmp_path / "a.rtf").write_bytes(b"{\\rtf1 " + b"{" * 1_000_000)
    assert "1,000,001 braces" in refused(prepared(tmp_path / "a.rtf"), capsys)


def pdf(kids: str, levels: int) -> bytes:
    """Nodes of a tree that each name the next one by `kids`, the last one the first page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>"]
    for number in range(2, 2 + levels):
        objects.append(f"<< /Type /Pages /Count 9 /Kids [{kids.format(number + 1)}] >>")
    objects.append("<< /Type /Page /MediaBox [0 0 9 9] >>")
    out, places = io.BytesIO(b"%PDF-1.4\n"), []
    out.seek(0, 2)
    for number, content in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(f"{number} 0 obj\n{content}\nendobj\n".encode())
    start = out.tell()
    rows = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}{end}".encode())
    return out.getvalue()


@pytest.mark.parametrize("content", [pdf("{0} 0 R " * 10, 10), pdf("2 0 R 2 0 R", 1)], ids=["10^10 pages", "a circle"])
def test_a_tree_of_pages_without_end_is_refused(tmp_path, capsys, content):
    pytest.importorskip("pypdf")
    (tmp_path / "a.pdf").write_bytes(content)
    assert "a tree of pages without end" in refused(prepared(tmp_path / "a.pdf"), capsys)


def test_a_compressed_bomb_is_refused_by_the_command(tmp_path, capsys):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"the " * (3 << 20)))
    assert "compression bomb" in refused(prepared(path), capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space")
def test_an_address_space_that_torch_would_abort_in_is_refused_before(tmp_path):
    words = f"ulimit -v 700000; exec {sys.executable} -m chainrule pretrain {tmp_path}"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "683.6 MiB of addresses (`ulimit -v`)" in done.stderr, done.stderr[-500:]
