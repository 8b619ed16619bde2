"""Under pytest every shape in a signature of the package is checked (jaxtyping with beartype, by tests/shapes.py).

Files that state no shapes are left alone: a check costs 50 µs, and the lens calls some functions at every operation of
a program.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

# One thread for torch, here and in child processes: tests run beside each other, and threads that wait for a core that
# another test holds made some of them take minutes. Tests of threads ask for their number. Set before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Hundreds of child processes import the package: they may keep its bytecode, whatever the shell says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import hypothesis
import pytest
import shapes

# How long an example takes says nothing about the code: these machines have other things to do.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# No test writes into the cache of whoever runs it, nor do the processes that a test starts.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="chainrule-test-cache-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

HERE = Path(__file__).resolve().parent.parent
STATING = [path for path in (HERE / "chainrule").rglob("*.py") if "from jaxtyping import" in path.read_text("utf-8")]

shapes.install([".".join(path.relative_to(HERE).with_suffix("").parts) for path in STATING])


@pytest.fixture(autouse=True)
def torchs_kernels_again():
    """A test that trains leaves our kernels in use, and the next one's bits must not depend on that."""
    yield
    if "chainrule.kernels" in sys.modules:
        sys.modules["chainrule.kernels"].use_kernels("off")
