"""The command itself: what is refused before anything is opened, and a clean end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from chainrule.cli import main


def test_an_open_host_without_a_token_is_refused_before_anything_is_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", str(tmp_path), "--host", "0.0.0.0"]) == 2
    assert "CHAINRULE_TOKEN" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send")
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_it_cleanly(base_folder: Path, number: int) -> None:
    command = [sys.executable, "-m", "chainrule", "serve", str(base_folder), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stderr is not None
            url = next(line.split()[0] for line in process.stderr if line.startswith("http"))
            asked = {"prompt": "a", "max_tokens": 2}
            answer = httpx.post(f"{url}/v1/completions", json=asked, timeout=60, trust_env=False)
            assert answer.status_code == 200
            process.send_signal(number)
            assert process.wait(20) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()
