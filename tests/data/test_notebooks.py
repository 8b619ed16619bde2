import json

import pytest

from chainrule.data.notebooks import notebook_texts


def notebook(*cells):
    return json.dumps({"cells": cells, "nbformat": 4}).encode()


def test_markdown_and_code_are_taken_and_outputs_left_out():
    code = {"cell_type": "code", "source": "print(1)\n", "outputs": [{"text": "SECRET"}]}
    raw = {"cell_type": "raw", "source": "raw"}
    found = list(notebook_texts(notebook({"cell_type": "markdown", "source": ["# Title\n", "Words."]}, code, raw)))
    assert found == ["# Title\nWords.\n\nprint(1)\n"]


def test_sheets_of_old_notebooks_are_read():
    old = {"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}], "nbformat": 3}
    assert list(notebook_texts(json.dumps(old).encode())) == ["x = 1\n"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"cells": [', "malformed JSON"),
        (b"[1, 2]", "has no cells"),
        (b'{"cells": 3}', "has no cells"),
        (notebook({"cell_type": "code", "source": 3}, 7, None), "without text"),
    ],
)
def test_what_is_no_notebook_says_so(content, told):
    with pytest.raises(ValueError, match=told):
        list(notebook_texts(content))
