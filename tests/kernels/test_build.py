"""The library is built once, never half, never by others; without a compiler torch's operations remain."""

import os
import shutil
import stat
import subprocess
import sys

import pytest

from chainrule.base import DeviceError
from chainrule.kernels import symmetric, use_kernels
from chainrule.kernels.build import COMPILERS, built_library
from chainrule.kernels.symmetric import by_torch

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="no C++ compiler is here")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "chainrule" / "kernels"


def test_without_a_compiler_torchs_operations_remain_and_the_reason_is_told(cache, monkeypatch):
    monkeypatch.setenv("PATH", str(cache))
    monkeypatch.delenv("CXX", raising=False)
    kernels = use_kernels("auto")
    assert kernels.name == "torch" and "no C++ compiler" in kernels.reason
    monkeypatch.setenv("CXX", "/no/such/compiler")
    assert "CXX=/no/such/compiler" in use_kernels("auto").reason


def test_switched_off_nothing_is_built(cache):
    assert use_kernels("off").name == "torch" and not cache.exists()


@needs_compiler
def test_it_is_built_once_for_its_owner_alone(cache):
    built = built_library()
    before = built.path.stat().st_mtime_ns
    assert built_library() == built and built.path.stat().st_mtime_ns == before
    assert [one.name for one in cache.iterdir()] == [built.path.name], "nothing unfinished is left"
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


@needs_compiler
def test_what_others_could_have_written_is_not_loaded(cache):
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    with pytest.raises(DeviceError, match="other users"):
        built_library()
    assert use_kernels("auto").name == "torch"


@needs_compiler
def test_a_compiler_that_fails_leaves_nothing_and_is_quoted(cache, tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "no such flag" >&2; exit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CXX", str(broken))
    assert "no such flag" in use_kernels("auto").reason
    assert list(cache.iterdir()) == []


@needs_compiler
def test_a_library_that_is_damaged_is_not_used(cache):
    built_library().path.write_bytes(b"\x7fELF and no more")
    kernels = use_kernels("auto")
    assert kernels.name == "torch" and "cannot be loaded" in kernels.reason


@needs_compiler
def test_a_kernel_that_computes_other_numbers_is_not_used(cache, tmp_path, monkeypatch):
    """A compiler that takes one function for another: the trial finds out."""
    (tmp_path / "wrong.h").write_text("#include <cmath>\n#define sqrt(x) cbrt(x)\n")
    wrong = tmp_path / "wrong"
    wrong.write_text(f'#!/bin/sh\nexec c++ -include {tmp_path}/wrong.h "$@"\n')
    wrong.chmod(0o755)
    monkeypatch.setenv("CXX", str(wrong))
    kernels = use_kernels("auto")
    assert kernels.name == "torch" and "other numbers" in kernels.reason


@needs_compiler
def test_muons_products_are_tried_as_well(cache, monkeypatch):
    monkeypatch.setattr(symmetric, "by_torch", lambda *given: by_torch(*given).mul_(1.01))
    kernels = use_kernels("auto")
    assert kernels.name == "torch" and "symmetric matrices" in kernels.reason


@needs_compiler
def test_a_lower_instruction_set_that_is_forced_has_a_library_of_its_own():
    name = "from chainrule.kernels import use_kernels; print(use_kernels('auto').name)"
    names = [
        subprocess.run(
            [sys.executable, "-c", name], env={**os.environ, **more}, capture_output=True, text=True, check=True
        ).stdout
        for more in ({"ATEN_CPU_CAPABILITY": "default"}, {"ATEN_CPU_CAPABILITY": "avx2"})
    ]
    assert all(one.startswith("own (") for one in names) and names[0] != names[1]
