"""Text from elsewhere, as it is shown."""

from chainrule.base import short_lines


def test_a_long_line_keeps_its_beginning_and_its_end():
    text = "t.jsonl:1: no field " + "x" * 10**6 + "; name one with text.field\nand a second line"
    first, second = short_lines(text).split("\n")
    assert first.startswith("t.jsonl:1: no field xxx") and first.endswith("; name one with text.field")
    assert len(first) < 2000 and "letters)" in first and second == "and a second line"


def test_a_line_that_a_person_reads_stays_as_it_is():
    text = "x" * 2000 + "\n" + "y" * 30
    assert short_lines(text) == text
