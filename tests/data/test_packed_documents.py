import zipfile

import pytest
from document_files import book, open_document, packed, paragraph, word

from chainrule.data.packed_documents import packed_texts


def text_of(content: bytes) -> str:
    (text,) = packed_texts(content)
    return text


def test_a_word_document_gives_its_paragraphs_and_tables():
    cell = "<w:tc>{}</w:tc>".format
    table = f"<w:tbl><w:tr>{cell(paragraph('left'))}{cell(paragraph('right'))}</w:tr></w:tbl>"
    stops = '<w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr>'
    tabs = f"<w:p>{stops}<w:r><w:t>one</w:t><w:tab/><w:t>two</w:t></w:r></w:p>"
    assert text_of(word(paragraph("First.") + tabs + table)) == "First.\none\ttwo\nleft\tright\n"


def test_what_was_deleted_and_instructions_of_fields_are_not_said():
    gone = (
        "<w:p><w:del><w:r><w:delText>gone</w:delText><w:t>gone too</w:t></w:r></w:del><w:r><w:t>kept</w:t></w:r></w:p>"
    )
    field = "<w:p><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:t>7</w:t></w:r></w:p>"
    assert text_of(word(gone + field)) == "kept\n7\n"


def test_footnotes_come_at_the_end():
    notes = f'<w:footnotes xmlns:w="w">{paragraph("A note.")}</w:footnotes>'
    assert text_of(word(paragraph("Text."), **{"word/footnotes.xml": notes})) == "Text.\n\nA note.\n"


def test_an_open_document_gives_its_paragraphs():
    body = '<text:h>Title</text:h><text:p>one<text:s text:c="3"/>two<text:line-break/>three</text:p>'
    changes = "<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
    assert text_of(open_document(changes + body)) == "Title\none   two\nthree\n"


def test_a_book_is_read_in_the_order_of_its_spine():
    pages = {"z.xhtml": "<html><body><h1>One</h1><p>It begins.</p></body></html>", "a%20b.xhtml": ""}
    assert (
        text_of(book({**pages, "a.xhtml": "<!DOCTYPE html><p>It&nbsp;ends.</p>"})) == "One\n\nIt begins.\n\nIt ends.\n"
    )


def test_a_book_that_is_locked_says_so():
    locked = '<encryption><CipherReference URI="in/a.xhtml"/></encryption>'
    with pytest.raises(ValueError, match="locked against copying"):
        text_of(book({"a.xhtml": "<p>x</p>"}, **{"META-INF/encryption.xml": locked}))


BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (word(paragraph("cut"))[:120], "truncated or damaged"),
        (word("<w:p><w:r><w:t>no end"), "damaged in word/document.xml"),
        (packed({"word/document.xml": b" " * (65 << 20)}), "compression bomb"),
        (packed({"word/document.xml": f'{BOMB}<w:p xmlns:w="w"><w:t>&b;</w:t></w:p>'}), "declares entities"),
        (packed({"word/document.xml": '<!DOCTYPE d SYSTEM "file:///etc/passwd"><d/>'}), "declares entities|no text"),
        (packed({"word/other.xml": "<a/>"}), "lacks word/document.xml"),
        (packed({"xl/workbook.xml": "<a/>"}), "spreadsheet .* save it as .csv"),
        (packed({"a.txt": "text"}), "unpack it and give the folder"),
        (word(""), "no text in it"),
        (b"PK\x03\x04", "truncated or damaged"),
    ],
    ids=[
        "cut",
        "no end",
        "bomb",
        "entities",
        "outside",
        "no document",
        "spreadsheet",
        "archive",
        "empty",
        "a head alone",
    ],
)
def test_what_is_damaged_or_hostile_says_what_it_is(content, told):
    with pytest.raises(ValueError, match=told):
        text_of(content)


def test_a_locked_archive_says_so(tmp_path):
    made = bytearray(word(paragraph("x")))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("word/document.xml", "x")
    made = bytearray((tmp_path / "a.zip").read_bytes())
    # Bit 0 of the flags, in the header and in the directory: encrypted.
    made[6] |= 1
    made[made.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ValueError, match="locked with a password"):
        text_of(bytes(made))


def test_deep_nesting_is_no_matter():
    assert text_of(word("<w:x>" * 20_000 + paragraph("deep") + "</w:x>" * 20_000)) == "deep\n"
