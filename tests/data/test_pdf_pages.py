import gzip

import pytest
from document_files import pdf

from chainrule.data.pdf_pages import pdf_texts


def test_the_pages_of_a_pdf_are_one_text():
    assert list(pdf_texts(pdf("The first page.", "The second page."))) == ["The first page.\nThe second page.\n"]


def test_the_same_bytes_give_the_same_text():
    made = pdf("A page.")
    assert list(pdf_texts(made)) == list(pdf_texts(bytes(made)))


def test_what_is_locked_against_changes_alone_is_read():
    assert list(pdf_texts(pdf("Open to all.", password="", owner="secret"))) == ["Open to all.\n"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (pdf("hidden", password="secret"), "locked with a password; take it off first"),
        (pdf("", ""), "its pages are pictures; run OCR first"),
        (pdf("cut off")[:300], "is a damaged PDF"),
        (b"%PDF-1.7\n" + bytes(range(256)) * 40, "is a damaged PDF"),
        (b"a letter to Ann", "is no PDF, whatever its name says"),
        (b"", "is no PDF"),
    ],
    ids=["locked", "scanned", "truncated", "noise", "text", "empty"],
)
def test_what_has_no_text_to_read_says_why(content, told):
    with pytest.raises(ValueError, match=told):
        list(pdf_texts(content))


def test_a_folder_is_read_on_and_what_has_no_text_is_counted_with_its_suffix(workshop, make_prose):
    for index in range(5):
        workshop.write(f"{index}.txt", make_prose(index))
    workshop.write("a.pdf", pdf(make_prose(9, 60).replace("\n", " ")))
    workshop.write("b.pdf.gz", gzip.compress(pdf(make_prose(8, 60).replace("\n", " "))))
    workshop.write("scan.pdf", pdf(""))
    workshop.write("locked.pdf", pdf("x", password="y"))
    found = workshop.survey()
    assert found.report["documents"] == 7
    assert found.report["skipped_by"] == {".pdf that cannot be read": 2}
    (note,) = found.report["notes"]
    assert note.startswith("left out: 2 documents that cannot be read; ") and "run OCR first" in note
