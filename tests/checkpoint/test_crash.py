"""A save that dies, or that the disk refuses, at any instant loses nothing that was acknowledged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CRASH = Path(__file__).with_name("crash.py")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


def crash(mode: str, folder: Path) -> dict[str, Any]:
    done = subprocess.run([sys.executable, CRASH, mode, folder], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_kill_at_any_file_operation_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    result = crash("points", tmp_path)
    assert result["faults"] > 40 and result["wrong"] == []


def test_kills_from_outside_at_random_moments_keep_what_was_acknowledged(tmp_path: Path) -> None:
    result = crash("kills", tmp_path)
    assert result["faults"] == 12 and result["wrong"] == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_each_system_call_can_kill_or_fail_and_what_was_acknowledged_stays(tmp_path: Path) -> None:
    result = crash("strace", tmp_path)
    assert result["faults"] > 150 and result["wrong"] == []
