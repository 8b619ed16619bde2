"""A sample of each proof (`python -m proof --quick`), in one process that loads torch once; `make proof` is all."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from proof.interruptions import PHASES

HERE = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and asks /proc"),
    pytest.mark.xdist_group("proof"),
    # The whole sample is made when the first test asks for it; on a busy machine that takes minutes.
    pytest.mark.timeout(900),
]
PARTS = ("kills", "verbs", "calls", "flips", "disk", "signals", "resumes", "bad-input", "hostile", "spoiled")


@pytest.fixture(scope="module")
def proved(tmp_path_factory):
    """What came of each part, and the table as it was printed."""
    folder = tmp_path_factory.mktemp("proof")
    done = subprocess.run(
        [sys.executable, "-m", "proof", "--quick", "--results", str(folder)],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert (folder / "proof.json").is_file(), done.stderr
    return done, json.loads((folder / "proof.json").read_text())["outcomes"]


@pytest.mark.parametrize("part", PARTS)
def test_a_sample_of_each_proof_holds(proved, part):
    outcomes = [one for one in proved[1] if one["part"] == part]
    assert outcomes and all(one["tried"] for one in outcomes)
    assert [one["wrong"] for one in outcomes if one["wrong"]] == []


@pytest.mark.parametrize("phase", PHASES)
def test_each_phase_names_a_function_that_its_module_calls(phase):
    module, _, name = PHASES[phase][0].partition(":")
    assert callable(getattr(importlib.import_module(module), name))


def test_the_exit_code_says_whether_all_held(proved):
    done, outcomes = proved
    assert done.returncode == (1 if any(one["wrong"] for one in outcomes) else 0), done.stdout
