from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from chainrule.show import Html, join, rows, tag
from chainrule.show.html import text

NASTY = st.text(st.sampled_from("<>&\"'/!-=a script\x00\x07\u202e\ud800\n]"), max_size=40)


class Reader(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self):
        super().__init__()
        self.tags, self.words, self.attributes = [], "", {}

    def handle_starttag(self, name, attributes):
        self.tags.append(name)
        self.attributes |= dict(attributes)

    def handle_data(self, data):
        self.words += data


def read(page):
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@given(NASTY, NASTY)
def test_no_text_becomes_a_tag_or_an_attribute(content, attribute):
    reader = read(tag("p", content, title=attribute))
    assert reader.tags == ["p"]
    assert list(reader.attributes) == ["title"]
    safe = str.maketrans(dict.fromkeys("\x00\x07\u202e\ud800", "\ufffd"))
    assert reader.words == content.translate(safe)
    assert reader.attributes["title"] == attribute.translate(safe)


@given(NASTY)
def test_every_text_can_be_encoded(content):
    assert tag("p", content).encode()


def test_html_is_not_escaped_twice():
    assert tag("p", tag("b", "a & b"), None, " & ") == "<p><b>a &amp; b</b> &amp; </p>"
    assert text(Html("<b>")) == "<b>"
    assert join(["<", tag("i")]) == "&lt;<i></i>"


def test_attributes_are_spelt_as_in_html_and_left_out_when_off():
    assert tag("div", class_="a", data_step=3, hidden=True, id=None, open=False) == (
        '<div class="a" data-step="3" hidden></div>'
    )
    assert tag("input", type="range") == '<input type="range">'
    assert tag("meta", name="x", content="y") == '<meta name="x" content="y">'


def test_a_row_without_a_value_is_left_out():
    assert rows([("a", 0), ("b", None)]).count("<tr>") == 1
