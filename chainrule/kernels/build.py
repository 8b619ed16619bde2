"""The library of the kernels, built with this machine's compiler when it is first wanted, and kept for the next time.

Not when the package is installed: a wheel stays one file for every machine, an install needs no compiler, and whoever
changes a source runs what it says. The name of a library is a checksum of all that it is made from, so that a file
that is there is the right one, and says which numbers it computes.
"""

import hashlib
import os
import platform
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from chainrule.base import DeviceError, temporary_name, user_cache

NATIVE = Path(__file__).parent / "native"
COMPILERS = ("c++", "g++", "clang++")
# Nothing that lets a compiler reorder sums or forget NaN: a run's bits are those that the sources say.
FLAGS = ("-std=c++17", "-O3", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")
# By what torch itself uses here, which ATEN_CPU_CAPABILITY lowers: one library for each.
CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "AVX512": ("-mavx512f", "-mavx512dq", "-mavx512bw", "-mavx512vl", "-mavx2", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
}
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Built:
    """A library, and in a word what its numbers depend on: what it uses of the processor and what it was made from."""

    path: Path
    name: str


def built_library(environment: Mapping[str, str] = os.environ) -> Built:
    """The library for what torch uses of this processor; one to two seconds of processor time where it has to be made.

    Raises DeviceError, with the reason, where it cannot be: no compiler, none that takes these sources, no folder.
    """
    compiler = _compiler(environment)
    capability = torch.backends.cpu.get_cpu_capability()
    flags = (*FLAGS, *CAPABILITIES.get(capability, ()))
    sources = sorted(NATIVE.iterdir())
    made_from = [_run([compiler, "--version"]), platform.machine(), *flags]
    made_from += [text for source in sources for text in (source.name, source.read_text("utf-8"))]
    key = hashlib.sha256("\0".join(made_from).encode()).hexdigest()
    built = Built(_own_folder(user_cache() / "kernels") / f"{key[:32]}.so", f"{capability} {key[:8]}")
    if not built.path.exists():
        # Under a name of its own, so that no other process loads half of it; who comes later replaces it by the same.
        unfinished = temporary_name(built.path)
        try:
            _run([compiler, *flags, *(str(one) for one in sources if one.suffix == ".cpp"), "-o", str(unfinished)])
            unfinished.replace(built.path)
        finally:
            unfinished.unlink(missing_ok=True)
    _check_owner(built.path)
    return built


def _compiler(environment: Mapping[str, str]) -> str:
    wanted = environment.get("CXX")
    found = next(filter(None, (shutil.which(name) for name in ((wanted,) if wanted else COMPILERS))), None)
    if found is None:
        raise DeviceError(f"no C++ compiler is here ({f'CXX={wanted}' if wanted else ', '.join(COMPILERS)})")
    return found


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, encoding="utf-8", timeout=PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise DeviceError(f"{command[0]} does not run: {fault}") from None
    if done.returncode:
        said = (done.stderr.strip() or "nothing").splitlines()
        raise DeviceError(f"{command[0]} does not build the kernels: {said[0]}")
    return done.stdout


def _own_folder(path: Path) -> Path:
    """The folder, made for this user alone; raises DeviceError where it cannot be had."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise DeviceError(f"there is no folder for the kernels: {fault}") from None
    _check_owner(path)
    return path


def _check_owner(path: Path) -> None:
    """Code that another user can change is not run."""
    status = path.stat()
    if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        raise DeviceError(f"{path} can be written by other users; remove it, or: chmod go-w {path}")
