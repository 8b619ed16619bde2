import subprocess
import sys
from pathlib import Path

import pytest

from chainrule.base import freed_memory_kept

CODE = """
import ctypes
from pathlib import Path
from chainrule.base import freed_memory_kept

def resident():
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096

def hold_and_free():
    held = [ctypes.create_string_buffer(b"x" * 2**25) for _ in range(8)]

with freed_memory_kept() as kept:
    hold_and_free()
    during = resident()
after = resident()
print(int(kept), during // 2**20, after // 2**20)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux alone")
def test_memory_is_kept_while_a_run_lasts_and_goes_back_afterwards():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    kept, during, after = map(int, done.stdout.split())
    if not kept:
        pytest.skip("not the GNU C library")
    assert during > after + 128  # of the 256 MiB that were held and freed inside


def test_one_inside_another_ends_nothing():
    code = CODE.replace("with freed_memory_kept() as kept:", "with freed_memory_kept() as kept, freed_memory_kept():")
    code = code.replace(
        "    hold_and_free()\n    during", "    with freed_memory_kept(): pass\n    hold_and_free()\n    during"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kept, during, after = map(int, done.stdout.split())
    if not kept:
        pytest.skip("not the GNU C library")
    assert during > after + 128


def test_whoever_has_set_the_library_is_left_alone(monkeypatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000000")
    with freed_memory_kept() as kept:
        assert not kept
