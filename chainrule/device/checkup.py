"""A look at the whole place: Python, torch, device, memory, disk, terminal, and which optional packages are here."""

import importlib.util
import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

import torch

from chainrule.base import bytes_text, free_bytes
from chainrule.device.facts import MachineFacts
from chainrule.device.peak import BUSY_SHARE

GIB = 1 << 30
LITTLE_DISK, LITTLE_MEMORY = 5 * GIB, 2 * GIB
EXTRA = re.compile(r"([A-Za-z0-9_.-]+).*;.*extra == ['\"]([\w-]+)['\"]")
LEAST_TORCH = (2, 11)
# For those who work on chainrule itself.
NOT_FOR_USERS = ("dev", "proof")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fine, worth knowing, or wrong; what was found; what to do where it is not fine."""

    mark: Literal["fine", "note", "wrong"]
    what: str
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Extra:
    """An optional part of the package, the packages that it brings and those of them that are not here."""

    name: str
    packages: tuple[str, ...]
    missing: tuple[str, ...]


def check_up(facts: MachineFacts, folder: Path) -> list[Finding]:
    """What a run in `folder` will meet here, from `facts` of the machine and a look at disk, terminal and torch."""
    return [
        Finding("fine", "chainrule", f"{_version('chainrule')}, Python {platform.python_version()}, {sys.executable}"),
        _torch(facts),
        Finding("fine", "device", f"{facts.device}: {facts.reason}"),
        _precision(facts),
        _quiet(facts),
        _memory(facts),
        _disk(folder),
        _terminal(),
    ]


def extras() -> list[Extra]:
    """The optional parts that the package itself declares, for users."""
    by_name: dict[str, list[str]] = {}
    try:
        declared = requires("chainrule") or []
    except PackageNotFoundError:
        declared = []
    for line in declared:
        if (match := EXTRA.match(line)) and match[2] not in NOT_FOR_USERS and match[1] != "chainrule":
            by_name.setdefault(match[2], []).append(match[1])
    return [
        Extra(name, tuple(packages), tuple(one for one in packages if not _version(one)))
        for name, packages in sorted(by_name.items())
    ]


def _torch(facts: MachineFacts) -> Finding:
    cuda = torch.version.cuda
    built = f"built for CUDA {cuda}" if cuda else "built for CPUs"
    found = f"{facts.torch}, {built}"
    if tuple(int(part) for part in re.findall(r"\d+", facts.torch)[:2]) < LEAST_TORCH:
        return Finding(
            "wrong", "torch", found, f"chainrule needs {'.'.join(map(str, LEAST_TORCH))} or later: pip install -U torch"
        )
    if cuda and facts.device == "cpu":
        return Finding(
            "note",
            "torch",
            f"{found}, and no GPU is here",
            "gigabytes of CUDA are not used; the build for CPUs: pip install torch --index-url "
            "https://download.pytorch.org/whl/cpu",
        )
    return Finding("fine", "torch", found)


def _precision(facts: MachineFacts) -> Finding:
    speed = ", ".join(f"{name} {flops / 1e9:,.0f}" for name, flops in facts.measured.items())
    return Finding("fine", "speed", f"{facts.precision} ({facts.precision_reason}); GFLOP/s of one core: {speed}")


def _quiet(facts: MachineFacts) -> Finding:
    if facts.device == "cpu" and facts.core_share < BUSY_SHARE:
        return Finding(
            "note",
            "other programs",
            f"the measurement got {facts.core_share:.0%} of its core",
            "a run is planned for what is left; end the other program, or leave it a core: --machine.threads "
            f"{max(1, facts.threads - 1)}",
        )
    return Finding(
        "fine", "other programs", f"none computes; {facts.threads} of {facts.logical_cores} threads are used"
    )


def _memory(facts: MachineFacts) -> Finding:
    found = f"{bytes_text(facts.memory_bytes)} can be had of {bytes_text(facts.installed_bytes)}"
    if facts.memory_bytes < LITTLE_MEMORY:
        return Finding("note", "memory", found, "small models fit; `chainrule plan` says what a setting needs")
    return Finding("fine", "memory", found)


def _disk(folder: Path) -> Finding:
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    free = free_bytes(there)
    found = f"{bytes_text(free)} free for {folder}/"
    if not os.access(there, os.W_OK):
        return Finding("wrong", "disk", f"{there} cannot be written to", "give another with --runs-folder")
    if free < LITTLE_DISK:
        return Finding("note", "disk", found, "`chainrule runs prune` and `chainrule cache prune` free space")
    return Finding("fine", "disk", found)


def _terminal() -> Finding:
    encoding = sys.stdout.encoding or "unknown"
    if encoding.lower().replace("-", "") != "utf8":
        return Finding("note", "terminal", f"{encoding}", "letters that it lacks become ?; set PYTHONUTF8=1")
    return Finding("fine", "terminal", encoding)


def _version(package: str) -> str:
    """Of an installed package; empty when it is not here."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "here" if importlib.util.find_spec(package.replace("-", "_")) else ""
