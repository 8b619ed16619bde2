"""The page on the proof is what its commands print, and its story ends well."""

import contextlib
import io
import re
from pathlib import Path

import pytest
import torch

from chainrule.base import LensError
from chainrule.cli import main
from chainrule.lens import verify
from chainrule.lens.opening import open_subject

HERE = Path(__file__).resolve().parents[2]
PAGE = (HERE / "docs" / "lens" / "proof.md").read_text()
FAULT = HERE / "examples" / "lens_fault.py"


@pytest.fixture(autouse=True)
def here_in_one_thread(monkeypatch):
    monkeypatch.chdir(HERE)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_story_prints_what_the_page_says(capsys):
    assert main(["lens", "verify", "examples/lens_fault.py:make_model"]) == 1
    printed = capsys.readouterr().out
    told = re.search(r"^✗ .*?right\.$", PAGE, re.DOTALL | re.MULTILINE)
    assert told is not None
    # The last digits of the numbers' own error are the machine's.
    assert re.sub(r"± \S+", "", told[0]) == re.sub(r"± \S+", "", printed[printed.index("✗ examples") :].rstrip())
    for name in ("0.weight ✗", "0.bias ✗", "1.weight ", "3.bias "):
        assert any(line.startswith(name) for line in printed.splitlines())


def test_gradcheck_accepts_the_fault(capsys):
    code = compile(FAULT.read_text(), str(FAULT), "exec")
    exec(code, {"__name__": "__main__"})
    assert capsys.readouterr().out.strip() in PAGE


@pytest.mark.parametrize(
    ("mended", "right"),
    [("(x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()", True), ("x.std(-1, correction=0, keepdim=True)", False)],
)
def test_the_mended_layer_is_proved_and_the_half_mended_one_is_not(tmp_path, mended, right):
    assert mended in PAGE
    path = tmp_path / "mended.py"
    path.write_text(FAULT.read_text().replace("x.std(-1, keepdim=True)", mended))
    report = verify(open_subject(f"{path}:make_model"), coordinates=3)
    assert report.ok is right
    if not right:
        assert 1e-6 < report.place.relative < 1e-4
        with pytest.raises(LensError, match="FusedLayerNorm"):
            report.raise_for_errors()


def test_the_python_of_the_page_runs():
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(block, {})
        assert "✓" in said.getvalue() or "agree" in said.getvalue()


def test_the_fault_in_torch_is_found_and_the_numbers_side_with_the_rules(capsys):
    assert main(["lens", "verify", "examples/lens_hardsigmoid.py:make_model"]) in (0, 1)
    printed = capsys.readouterr().out
    if torch.__version__.startswith("2.13."):  # another version may have put it right
        told = re.search(r"^✗ examples/lens_hardsigmoid.*?right\.$", PAGE, re.DOTALL | re.MULTILINE)
        assert told is not None
        assert re.sub(r"± \S+", "", told[0]) in re.sub(r"± \S+", "", printed)
