"""The end of a JSON value, found in chunks, is where a parser ends."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.data.json_ends import EndFinder

LETTERS = st.text(st.sampled_from('ab"\\\\{}[],:é\n'))
VALUES = st.recursive(LETTERS, lambda inner: st.lists(inner) | st.dictionaries(LETTERS, inner), max_leaves=20)


def found(content: bytes, size: int) -> int | None:
    finder = EndFinder()
    for start in range(0, len(content), size):
        if (end := finder.end(content[start : start + size])) is not None:
            return start + end
    return None


@given(VALUES, LETTERS, st.booleans(), st.integers(1, 40))
@settings(max_examples=300, deadline=None)
def test_a_value_ends_where_the_parser_ends_however_it_is_cut(value, after, ascii_alone, size):
    content = json.dumps(value, ensure_ascii=ascii_alone)
    assert json.JSONDecoder().raw_decode(content + after) == (value, len(content))
    n_bytes = len(content.encode())
    assert found((content + after).encode(), size) == n_bytes
    assert found(content.encode()[:-1], size) is None


@pytest.mark.parametrize("content", [b"7", b"null", b"}", b"x" * 9])
def test_what_is_no_object_array_or_text_ends_where_it_begins(content):
    assert found(content, 4) == 0
