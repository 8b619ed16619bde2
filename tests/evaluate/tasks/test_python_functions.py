import pytest

from chainrule.evaluate import PythonShare, python_share
from chainrule.evaluate.tasks.python_functions import function_text

GOOD = "def f(x):\n    return x\n"


def test_a_function_that_parses_counts_and_other_samples_do_not_matter():
    assert python_share([GOOD, "class A:\n    pass\n", "", "x = 1"]) == PythonShare(functions=1, parsed=1)


def test_the_function_ends_where_a_line_returns_to_column_zero():
    assert function_text(GOOD + "\n\nthen: this is no Python (") == GOOD + "\n\n"
    assert python_share([GOOD + "\n\nthen: this is no Python ("]).parsed == 1


def test_an_unfinished_last_line_is_cut_off():
    assert function_text("def f(x):\n    y = x\n    return (y") == "def f(x):\n    y = x\n"


def test_a_signature_may_end_with_a_bracket_at_column_zero():
    assert python_share(["def f(\n    a,\n) -> int:\n    return a\nx"]).parsed == 1


@pytest.mark.parametrize(
    "sample",
    [
        "def f(x): return x\n",  # no body of its own
        "def f(x):\n",
        "def f(x):",
        "def ",
        "def f(x):\nreturn x\n",
        "def f(x):\n    return (x\n",
        "def f(x):\n    if x:\n",
        'def f(x):\n    """An open string\n',
        "def 1f(x):\n    return x\n",
        "def f(x):\n    return \x00\n",
        "def f(x):\n    return " + "(" * 5000 + "\n",
        "def f(x):\n    return \ud800\n",
    ],
)
def test_what_is_no_function_is_counted_as_not_parsed(sample):
    assert python_share([sample]) == PythonShare(functions=1, parsed=0)


def test_a_sloppy_escape_is_python_and_warns_nobody():
    assert python_share(["def f(x):\n    return '\\d' is 1\n"]).parsed == 1


def test_nothing_is_executed(tmp_path):
    mark = tmp_path / "ran"
    python_share([f"def f(x=open({str(mark)!r}, 'w')):\n    return x\n"])
    assert not mark.exists()


def test_the_share_of_no_functions_is_none():
    assert python_share([]).share is None
    assert python_share([GOOD, "def ("]).share == 0.5
