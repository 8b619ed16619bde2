"""Text of two or four bytes a letter."""

import gzip

import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import wide
from chainrule.data.documents import read_documents
from chainrule.data.files import list_files
from chainrule.data.policy import under_policy

TEXT = "Der Reiher wartet am Mühlbach.\r\n語😀 und mehr.\n" * 3000


def documents(path, on_bad="error"):
    (file,) = list_files([str(path)]).files
    config = TextConfig(on_bad=on_bad, separator="==")
    found, parts = [], []
    for piece, _ in under_policy(read_documents(file, config), on_bad):
        parts.append(piece.content)
        if piece.last:
            found.append(b"".join(parts).decode() if piece.bad is None else None)
            parts = []
    return found


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("size", [1 << 16, 3])
def test_text_that_says_how_it_is_encoded_is_read(workshop, monkeypatch, encoding, size):
    monkeypatch.setattr(wide, "CHUNK_BYTES", size)
    text = TEXT if size > 3 else TEXT[:9000]
    assert documents(workshop.write("a.txt", text.encode(encoding))) == [text]
    big_end = ("\ufeff" + text).encode(f"{encoding}-be")
    assert documents(workshop.write("b.txt.gz", gzip.compress(big_end))) == [text]


def test_rows_and_tables_may_be_utf16(workshop):
    assert documents(workshop.write("a.jsonl", '{"text": "Mühl"}\n'.encode("utf-16"))) == ["Mühl"]
    assert documents(workshop.write("a.csv", "text\nMühl\n".encode("utf-16"))) == ["Mühl"]
    assert documents(workshop.write("a.json", '["Mühl"]'.encode("utf-16"))) == ["Mühl"]


@pytest.mark.parametrize("tail", [b"\x3d\xd8", b"\x00"])
def test_half_a_character_follows_the_policy(workshop, tail):
    path = workshop.write("a.txt", "one\n==\ntwo".encode("utf-16") + tail)
    with pytest.raises(DataError, match="invalid UTF-8"):
        documents(path)
    assert documents(path, "skip") == ["one\n", None]
    assert documents(path, "replace") == ["one\n", "two\ufffd"]


@pytest.mark.parametrize("order", ["LE", "BE"])
def test_utf16_without_its_mark_is_told_or_left_out_and_never_taken_for_a_picture(workshop, order):
    workshop.fill(10)
    workshop.write("wide.txt", TEXT.encode(f"utf-16-{order}"))
    with pytest.raises(DataError, match=rf"wide\.txt: looks like UTF-16{order} .*iconv -f UTF-16{order}"):
        workshop.survey()
    report = workshop.survey(on_bad="skip").report
    assert (report["bad"], report["documents"]) == (1, 10)
    assert "UTF-16" in (workshop.data / "survey" / "left_out.jsonl").read_text()


def test_zeros_here_and_there_are_no_utf16():
    assert wide.unmarked_order(b"\x7fELF" + bytes(40) + b"text" * 9) is None
    assert wide.unmarked_order(b"") is wide.unmarked_order(b"plain text") is None
