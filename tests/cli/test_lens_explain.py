"""`chainrule lens explain`: exit code 0 when an expression works, 1 when it breaks, 2 when it is none."""

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from chainrule.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "lens" / "tensors.md"


def run(capsys, *arguments):
    code = main(["lens", "explain", *arguments])
    return code, *capsys.readouterr()


def test_the_example_of_the_issue(capsys):
    code, out, _ = run(capsys, "x.view(4, 1).T @ y", "--tensor", "x=2x2", "--tensor", "y=4x3:float32")
    assert code == 0
    assert "(1×4)·(4×3) → 1×3" in out and "a view of x" in out


def test_what_breaks_is_shown_and_exits_with_1(capsys):
    code, out, err = run(capsys, "x @ y", "--tensor", "x=[[1, 2], [3, 4]]", "--tensor", "y=3x2")
    assert code == 1 and not err
    assert "^^^^^" in out and "did you mean" in out
    code, out, _ = run(capsys, "x @ y", "--tensor", "x=2x3", "--tensor", "y=4x3", "--json")
    assert code == 1
    assert json.loads(out)["broken"]["sizes"] == [3, 4]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x +"], "is not an expression"),
        (["x + 1"], "no tensor is called 'x'"),
        (["__import__('os')"], "cannot be called"),
        (["x", "--tensor", "x"], "is not NAME=VALUE"),
        (["x", "--tensor", "x=2x3:flaot32"], "Did you mean 'float32'"),
        (["x", "--tensor", "x=none.npy"], "there is no file"),
    ],
)
def test_what_is_no_expression_or_no_tensor_exits_with_2(capsys, arguments, said):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and not out and said in err


def test_a_tensor_may_come_from_a_file(capsys, tmp_path):
    np.savez(tmp_path / "a.npz", w=np.ones((2, 3)), b=np.zeros(3))
    code, out, _ = run(capsys, "x.sum(0)", "--tensor", f"x={tmp_path / 'a.npz'}:w")
    assert code == 0 and "2×3 → 3 float64" in out
    code, _, err = run(capsys, "x.sum(0)", "--tensor", f"x={tmp_path / 'a.npz'}")
    assert code == 2 and "holds several tensors" in err


def test_the_help_has_examples(capsys):
    for verb in ("explain", "tensor"):
        assert main(["lens", verb, "--help"]) == 0
        assert f"chainrule lens {verb}" in capsys.readouterr().out


def test_the_page_shows_what_the_commands_print(capsys):
    page = PAGE.read_text(encoding="utf-8")
    pairs = re.findall(r"```sh\n([^\n]*)\n```\n\n```text\n(.*?)\n```", page, re.S)
    assert len(pairs) >= 6
    for command, text in pairs:
        main(shlex.split(command)[1:])
        out, err = capsys.readouterr()
        assert (out or err).rstrip() == text, command


def test_the_python_of_the_page_prints_what_it_shows():
    page = PAGE.read_text(encoding="utf-8")
    code, text = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)\n```", page, re.S).groups()
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    assert out.getvalue().rstrip() == text
