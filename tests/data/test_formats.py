"""What is read by its name and content, with the extra and without it, and with more suffixes."""

from importlib.util import find_spec

import pytest
from document_files import paragraph, pdf, word
from pydantic import ValidationError

from chainrule.base import DataError, MissingPackageError
from chainrule.config import TextConfig
from chainrule.data import all_documents, whole_files
from chainrule.data.files import list_files

REMEDY = "pip install 'chainrule[documents]'"


@pytest.fixture
def without_extra(monkeypatch):
    gone = {"pypdf", "selectolax", "defusedxml", "striprtf"}
    monkeypatch.setattr(whole_files, "find_spec", lambda name: None if name in gone else find_spec(name))


def kinds(*paths, **settings):
    return [file.kind for file in list_files([str(path) for path in paths], "skip", TextConfig(**settings)).files]


def test_without_the_extra_documents_are_passed_over_with_the_remedy(workshop, without_extra):
    for name in ("a.pdf", "b.PDF", "c.docx", "d.html", "e.txt", "f.png", "g.ipynb"):
        workshop.write(name, "x")
    listing = list_files([str(workshop.texts)])
    assert [file.kind for file in listing.files] == ["text", "ipynb"]
    assert listing.ignored == {f".pdf ({REMEDY})": 2, f".docx ({REMEDY})": 1, f".html ({REMEDY})": 1, ".png": 1}


@pytest.mark.parametrize("name", ["a.pdf", "thesis", "page.html"])
def test_without_the_extra_what_is_named_is_refused_with_the_remedy(workshop, without_extra, name):
    path = workshop.write(name, "<html>" if name == "page.html" else pdf("x"))
    with pytest.raises(MissingPackageError) as caught:
        list_files([str(path)])
    assert REMEDY in str(caught.value) and str(path) in str(caught.value)


def test_a_glob_of_documents_without_the_extra_says_the_remedy(workshop, without_extra):
    workshop.write("a.pdf", pdf("x"))
    with pytest.raises(DataError, match=r"1 \.pdf \(pip install 'chainrule\[documents\]'\)"):
        list_files([f"{workshop.texts}/*.pdf"])


def test_the_content_says_what_a_document_is(workshop):
    workshop.write("a.docx", pdf("x"))
    workshop.write("b.pdf", word(paragraph("x")))
    workshop.write("c.pdf", "<!DOCTYPE html><p>not found</p>")
    workshop.write("d.html", rb"{\rtf1 x}")
    assert kinds(workshop.texts) == ["pdf", "docx", "html", "rtf"]
    assert kinds(workshop.write("thesis", pdf("x")), workshop.write("page.txt", "\n<html><p>x")) == ["pdf", "html"]


def test_a_document_named_as_text_in_a_folder_is_told(workshop):
    workshop.write("a.txt", pdf("x"))
    workshop.write("b.csv", word(paragraph("x")))
    told = []
    list(all_documents(TextConfig(paths=(str(workshop.texts),)), told.append))
    assert "a.txt: is a PDF, not text; end its name in .pdf" in told[0]
    assert "b.csv: is a zip archive or a document packed as one" in told[1]


@pytest.mark.parametrize(("name", "remedy"), [("a.doc", "save it as .docx"), ("a.xlsx", "save it as .csv")])
def test_formats_that_are_not_read_say_what_to_save_them_as(workshop, name, remedy):
    path = workshop.write(name, b"\xd0\xcf\x11\xe0")
    with pytest.raises(DataError, match=remedy):
        list_files([str(path)])
    with pytest.raises(DataError, match=r"save as"):
        list_files([str(workshop.texts)])


@pytest.mark.parametrize("given", ["log", ".log", "*.LOG"])
def test_more_suffixes_are_read_as_plain_text(workshop, given):
    workshop.write("a.log", "text")
    assert kinds(workshop.texts, suffixes=(given,)) == ["text"]


def test_a_suffix_that_is_given_is_plain_text_whatever_else_it_is(workshop):
    workshop.write("a.html", "<p>tags</p>")
    assert kinds(workshop.texts, suffixes=(".html",)) == ["text"]


@pytest.mark.parametrize("given", ["", ".", "a b", "a/b", "tar.gz"])
def test_what_ends_no_name_is_refused(given):
    with pytest.raises(ValidationError, match=r"write it as \.log"):
        TextConfig(suffixes=(given,))


def test_suffixes_that_hold_text_are_suggested(workshop):
    workshop.write("a.txt", "text")
    workshop.write("b.log", "a line\n")
    workshop.write("c.blob", b"\0\1\2")
    assert list_files([str(workshop.texts)]).ignored == {".log (text? --text.suffixes .log)": 1, ".blob": 1}


def test_another_version_of_a_reader_is_another_text(workshop, monkeypatch):
    workshop.fill(3)
    plain = workshop.survey().key
    workshop.write("a.pdf", pdf("x"))
    before = workshop.survey().key
    monkeypatch.setattr(whole_files.importlib.metadata, "version", lambda name: "99")
    assert workshop.survey().key != before
    (workshop.texts / "a.pdf").unlink()
    assert workshop.survey().key == plain
