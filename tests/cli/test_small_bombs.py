"""Small files that would take long, or much memory, are refused by a sentence before they do."""

import gzip
import io
import json
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest

from chainrule.base import ChainruleError, refuse_crowded, settings_json
from chainrule.checkpoint import open_model
from chainrule.checkpoint.gguf_header import read_header
from chainrule.cli import main
from chainrule.data.rich_text import rtf_texts
from chainrule.data.tidying import tidied
from chainrule.tokenizer.check import ALPHABET, MOST_ENTRIES, checked
from chainrule.tokenizer.reference import Reference


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


def test_one_object_that_is_all_brackets_is_not_parsed(tmp_path, capsys):
    (tmp_path / "a.json").write_bytes(b'{"text": [' + b"{}," * 1_700_000 + b"{}]}")
    assert "brackets and commas" in refused(prepared(tmp_path / "a.json"), capsys)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
@pytest.mark.parametrize(
    "content",
    [b'{"a":[' + b"{}," * 1_700_000 + b"{}]}", b'{"a":"' + b"a" * (17 << 20) + b'"}'],
    ids=["crowded", "long"],
)
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


def test_rich_text_with_as_many_fonts_as_letters_ends(tmp_path):
    pytest.importorskip("striprtf")
    fonts = b"{\\fonttbl" + b"{\\f1 a;}" * 20_000 + b"}"
    assert list(rtf_texts(b"{\\rtf1 " + fonts + b"{\\pict\\bin3 }{}}words}")) == ["words\n"]


def test_blanks_in_the_middle_of_a_line_are_passed_over_once():
    assert tidied("a" + " " * 200_000 + "b  \nc \t ") == "a" + " " * 200_000 + "b\nc\n"


def test_an_element_of_many_attributes_is_refused(tmp_path, capsys):
    pytest.importorskip("defusedxml")
    path = tmp_path / "a.docx"
    attributes = " ".join(f'a{number}=""' for number in range(50_000))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", f"<a {attributes}/>")
    assert "more than 20,000 attributes in word/document.xml" in refused(prepared(path), capsys)


def test_a_file_of_a_thousand_mistakes_is_told_of_the_first_hundred(tmp_path, capsys):
    (tmp_path / "s.toml").write_text("".join(f"a{number}=1\n" for number in range(1000)))
    said = refused(["config", "show", str(tmp_path / "s.toml")], capsys)
    assert "'a99'" in said and "'a100'" not in said and "the first 100 mistakes" in said


def test_lists_of_a_gguf_hold_so_many_texts_together(tmp_path, monkeypatch):
    texts = struct.pack("<IIQ", 9, 8, 10) + bytes(80)
    pairs = b"".join(struct.pack("<Q", 1) + name + texts for name in (b"a", b"b", b"c"))
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 3) + pairs)
    assert len(read_header(tmp_path / "m.gguf").metadata) == 3
    monkeypatch.setattr("chainrule.checkpoint.gguf_header.MOST_TEXTS", 29)
    with pytest.raises(ChainruleError, match=r"30 texts in its lists up to c; up to 29 are read"):
        read_header(tmp_path / "m.gguf")


def test_a_tokenizer_of_too_many_entries_is_refused():
    vocabulary = {f"{number:x}": number for number in range(MOST_ENTRIES + 1)}
    with pytest.raises(ChainruleError, match=r"model\.vocab has 524,289 entries"):
        checked({"model": {"type": "BPE", "vocab": vocabulary, "merges": []}})


def test_an_expression_of_a_tokenizer_that_has_no_end_is_an_error_of_ours():
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": "(a+)+b|(a*)*c"}, "behavior": "Isolated", "invert": False}
    document = {
        "model": {"type": "BPE", "vocab": {letter: n for n, letter in enumerate(sorted(ALPHABET))}, "merges": []},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, level]},
    }
    with pytest.raises(ChainruleError, match="cannot part the text into words"):
        Reference(checked(document)).encode_batch(["a" * 40])


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


@pytest.mark.parametrize("drawn", [b"q Q " * (1 << 19), b"/X Do " * 100], ids=["words", "forms in forms"])
def test_a_page_that_draws_without_end_is_refused(tmp_path, capsys, drawn):
    pytest.importorskip("pypdf")
    form = b"<< /Subtype /Form /Length %d /Resources << /XObject << /X %d 0 R >> >> >>\nstream\n%s\nendstream"
    streams = [form % (len(drawn), number, drawn) for number in (6, 7, 5)]
    contents = zlib.compress(drawn)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [" + b"3 0 R " * 20 + b"] /Count 20 >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>",
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(contents), contents),
        *(streams if len(drawn) < 1000 else []),
    ]
    content = b"%PDF-1.4\n" + b"".join(b"%d 0 obj\n%s\nendobj\n" % one for one in enumerate(objects, start=1))
    (tmp_path / "a.pdf").write_bytes(content + b"trailer << /Root 1 0 R >>\nstartxref\n0\n%%EOF\n")
    assert "draws more than 1.0 MiB and 20 times its size" in refused(prepared(tmp_path / "a.pdf"), capsys)


def test_a_compressed_bomb_is_refused_by_the_command(tmp_path, capsys):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"the " * (3 << 20)))
    assert "compression bomb" in refused(prepared(path), capsys)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space")
def test_an_address_space_that_torch_would_abort_in_is_refused_before(tmp_path):
    words = f"ulimit -v 700000; exec {sys.executable} -m chainrule pretrain {tmp_path}"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "683.6 MiB of addresses (`ulimit -v`)" in done.stderr, done.stderr[-500:]
