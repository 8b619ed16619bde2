import pytest

from chainrule.data.rich_text import rtf_texts


def test_text_is_taken_without_its_marks():
    given = rb"{\rtf1\ansi\deff0{\fonttbl{\f0 Times;}}Some {\b bold} words.\par caf\'e9 \u8364?{\*\hidden no}}"
    assert list(rtf_texts(given)) == ["Some bold words.\ncafé €\n"]


@pytest.mark.parametrize(
    ("given", "told"),
    [(b"plain", "no rich text"), (rb"{\rtf1 }", "no text"), (rb"{\rtf1 \u99999999999999? x}", "damaged rich text")],
)
def test_what_is_none_says_so(given, told):
    with pytest.raises(ValueError, match=told):
        list(rtf_texts(given))
