import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import pieces, text
from chainrule.data.documents import read_documents
from chainrule.data.files import list_files
from chainrule.data.policy import under_policy


def documents(path, **given):
    """Each document as (content, why it was left out, replaced places)."""
    (file,) = list_files([str(path)]).files
    found, parts, replaced = [], [], 0
    config = TextConfig(**given)
    for piece, _ in under_policy(read_documents(file, config), config.on_bad):
        parts.append(piece.content)
        replaced += piece.invalid
        if piece.last:
            found.append((b"".join(parts) if piece.bad is None else None, piece.bad, replaced))
            parts, replaced = [], 0
    assert not parts
    return found


def contents(path, **given):
    return [content for content, _, _ in documents(path, **given)]


@pytest.mark.parametrize(
    "content", [b"one\r\ntwo\r", b"a\0b" * 5 + b"x" * 9000, "\ufffd\u200b\u2028é".encode(), b" \n"]
)
def test_a_file_is_one_document_and_its_bytes_stay_as_they_are(workshop, content):
    if b"\0" in content[:8192]:
        content = b"x" * 8192 + content
    assert contents(workshop.write("a.txt", content)) == [content]


def test_only_a_byte_order_mark_is_dropped(workshop):
    assert contents(workshop.write("a.txt", b"\xef\xbb\xbfone\xef\xbb\xbf")) == [b"one\xef\xbb\xbf"]


def test_a_separator_line_parts_documents(workshop):
    path = workshop.write("a.txt", "one\n===\ntwo\nlines\n===  \r\n=== not alone\n a===\nthree")
    assert contents(path, separator="===") == [b"one\n", b"two\nlines\n", b"=== not alone\n a===\nthree"]


def test_nothing_after_the_last_separator_is_no_document(workshop):
    assert contents(workshop.write("a.txt", "one\n===\n"), separator="===") == [b"one\n"]
    assert contents(workshop.write("b.txt", "one\n==="), separator="===") == [b"one\n"]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.sampled_from("ab=é\n "), max_size=120), min_size=1, max_size=6), st.integers(5, 40))
def test_documents_are_the_same_whatever_the_size_of_the_pieces(workshop, monkeypatch, given, size):
    content = "\n==\n".join(given)
    path = workshop.write("a.txt", content)
    whole = contents(path, separator="==")
    for module in (pieces, text):
        monkeypatch.setattr(module, "PIECE_BYTES", size)
    assert contents(path, separator="==") == whole
    assert b"".join(contents(path)) == content.encode()
    monkeypatch.undo()
    lines = content.encode().split(b"\n")
    assert len(whole) in (n := sum(line.rstrip(b" ") == b"==" for line in lines), n + 1)


def test_the_pieces_of_a_document_do_not_depend_on_its_place_in_the_file(workshop, monkeypatch):
    for module in (pieces, text):
        monkeypatch.setattr(module, "PIECE_BYTES", 50)
    document = "some words of a text that is longer than a piece is in this test\n" * 5
    cut = {}
    for name, before in (("a.txt", ""), ("b.txt", "x\n==\n"), ("c.txt", "another\ndocument stands before\n==\n")):
        (file,) = list_files([str(workshop.write(name, before + document))]).files
        found = [piece.content for piece, _ in read_documents(file, TextConfig(separator="=="))]
        cut[name] = found[1 if before else 0 :]
    assert cut["a.txt"] == cut["b.txt"] == cut["c.txt"]


def test_invalid_utf8_is_an_error_with_file_and_byte(workshop):
    path = workshop.write("a.txt", b"x" * 400_000 + b"caf\xe9 ")
    with pytest.raises(DataError, match=r"a\.txt: byte 400003: invalid UTF-8 \(byte 0xe9"):
        documents(path)


def test_a_byte_order_mark_does_not_move_the_place(workshop):
    with pytest.raises(DataError, match="byte 4: invalid"):
        documents(workshop.write("a.txt", b"\xef\xbb\xbfa\xff"))


def test_skipping_leaves_out_the_whole_document_and_no_other(workshop):
    bad = b"y" * 300_000 + b"\xff" + b"z" * 300_000
    path = workshop.write("a.txt", b"one\n==\n" + bad + b"\n==\nthree")
    found = documents(path, separator="==", on_bad="skip")
    assert [content for content, _, _ in found] == [b"one\n", None, b"three"]
    assert "byte 300007" in found[1][1]


def test_replacing_counts_every_place(workshop):
    ((content, bad, replaced),) = documents(workshop.write("a.txt", b"a\xffb\xc3c\xef\xbf\xbd"), on_bad="replace")
    assert (content.decode(), bad, replaced) == ("a\ufffdb\ufffdc\ufffd", None, 2)
