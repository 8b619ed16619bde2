import pytest

from chainrule.data.web_pages import BEGINS, page_text, page_texts

PAGE = """<!DOCTYPE html><html><head><title>T</title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a></nav><h1>A title</h1><p>Some <b>bo</b>ld
   words &amp; signs.<br>A line.</p><script>var x = "<p>no</p>";</script><div hidden>unseen</div>
<ul><li>one</li><li>two</li></ul><table><tr><th>a</th><td>b</td></tr></table><pre>  kept
    as it is</pre><!-- no --><button>Press</button></body></html>"""


def test_text_is_taken_without_tags_scripts_and_menus():
    assert page_text(PAGE.encode()) == (
        "A title\n\nSome bold words & signs.\nA line.\n\none\ntwo\n\na\tb\n\n  kept\n    as it is\n"
    )


@pytest.mark.parametrize("encoding", ["gb2312", "shift_jis", "windows-1251", "iso-8859-1", "utf-8", "utf-16"])
def test_a_page_says_how_it_is_encoded(encoding):
    words = {"gb2312": "今天天气", "shift_jis": "猫である", "windows-1251": "Привет"}.get(encoding, "café")
    page = f'<html><meta http-equiv="Content-Type" content="text/html; charset={encoding}"><p>{words}</p>'
    assert page_text(page.encode(encoding)) == f"{words}\n"


def test_broken_pages_are_read_as_browsers_do():
    assert page_text(b"<p>one<p>two</b><td>three") == "one\n\ntwothree\n"
    assert page_text(b"<div>" * 30_000 + b"deep") == "deep\n"
    assert page_text(b"") == page_text(b"<html></html>") == ""


@pytest.mark.parametrize(
    "page", [b"<html><p>one<?dy><p>two", b"<p>one<?php echo 'no' ?><p>two", b"<?xml version='1.0'?><p>one<p>two"]
)
def test_instructions_for_programs_are_no_text(page):
    assert page_text(page) == "one\n\ntwo\n"


def test_a_page_without_text_says_so():
    with pytest.raises(ValueError, match="without text"):
        list(page_texts(b"<body><script>draw()</script></body>"))


def test_pages_in_a_folder_are_never_read_as_tags(workshop, make_prose):
    for seed, name in enumerate(("a.html", "b.htm", "c.xhtml")):
        workshop.write(name, PAGE.replace("A line.", make_prose(seed)))
    found = workshop.survey()
    assert found.report["documents"] == 3
    assert not any("<" in text or "var x" in text for side in ("train", "validation") for text in found.texts(side))


def test_a_page_of_comments_is_known_at_once():
    assert BEGINS.match(b"<!-- x -->\n" * 300 + b"<html>") and not BEGINS.match(b"<!-- x -->\n" * 400 + b"text")
