"""`chainrule watch` and `chainrule log`: what is refused, a clean end, a page that is saved."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from dashboard.made import make_run

from chainrule.cli import main


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    make_run(tmp_path / "runs" / "king-james-1", steps=20)
    return tmp_path / "runs"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["watch", "runs/king-jams-1"], "king-james-1"),
        (["watch", "king-jams-1"], "king-james-1"),
        (["watch", "a.txt"], "is a file; give a run"),
        (["watch", "--host", "0.0.0.0"], "CHAINRULE_TOKEN"),
        (["watch", "--token", "short"], "at least 8"),
        (["watch", "--prefix", "/a b"], "is no path"),
        (["watch", "--port", "70000"], "use 0"),
        (["watch", "nothing-here", "--save", "page.html"], "no run at"),
        (["watch", "empty", "--save", "page.html"], "there is no run in empty"),
        (["log", "king-jams-1", "--to", "tensorboard"], "king-james-1"),
        (["log", "king-james-1", "--to", "tensorbord"], "tensorboard"),
    ],
)
def test_mistakes_are_one_line_with_what_to_do(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: list[str], said: str
) -> None:
    monkeypatch.chdir(runs.parent)
    Path("a.txt").write_text("text")
    Path("empty").mkdir()
    assert main(asked) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def test_a_page_is_saved_and_its_path_is_all_that_is_printed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = runs.parent / "page.html"
    assert main(["watch", str(runs / "king-james-1"), "--save", str(page)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert page.read_text("utf-8").startswith("<!doctype html>") and "king-james-1" in page.read_text("utf-8")


@pytest.mark.parametrize("room", ["dashboard", "log"])
def test_who_only_looks_imports_no_torch(room: str) -> None:
    script = f"import sys; from chainrule import {room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
def test_it_says_its_address_at_once_and_a_signal_ends_it_cleanly(runs: Path) -> None:
    command = [sys.executable, "-m", "chainrule", "watch", str(runs), "--port", "0", "--prefix", "lab"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split()[0]
            assert url.endswith("/lab/")
            assert len(httpx.get(f"{url}api/runs", trust_env=False).json()["runs"]) == 1
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
