"""What of a machine decides its speed and is not measured: caches, allocator, GPUs, variables, libraries."""

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch

from chainrule.base import MALLOC_SETTINGS, CacheFound, bytes_text, held_down, processor_caches

HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
NVIDIA = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Gpu:
    """A GPU that torch can use: its memory in bytes, its compute capability, whether it multiplies in bfloat16."""

    name: str
    memory_bytes: int
    capability: str
    bfloat16: bool


@dataclass(frozen=True)
class Surroundings:
    """`held_down_by`: variables that keep torch below `own_class`. `huge_pages`: always, madvise or never, where known.

    `tunables`: what the user set of the C library's memory. `driver`: an NVIDIA driver is here, with or without torch's
    knowledge.
    """

    own_class: str
    held_down_by: tuple[str, ...]
    caches: tuple[CacheFound, ...]
    c_library: str
    tunables: tuple[str, ...]
    huge_pages: str
    gpus: tuple[Gpu, ...]
    driver: bool
    versions: Mapping[str, str]


def look_around() -> Surroundings:
    """As this process finds them; nothing is changed."""
    own, variables = held_down()
    library = " ".join(part for part in platform.libc_ver() if part) if sys.platform.startswith("linux") else ""
    return Surroundings(
        own_class=own.name,
        held_down_by=variables,
        caches=processor_caches(),
        c_library=library,
        tunables=tuple(f"{name}={os.environ[name]}" for name in MALLOC_SETTINGS if name in os.environ),
        huge_pages=chosen_word(HUGE_PAGES.read_text(encoding="ascii") if HUGE_PAGES.is_file() else ""),
        gpus=_gpus(),
        driver=NVIDIA.is_file(),
        versions=_versions(),
    )


def chosen_word(text: str) -> str:
    """The word in brackets, by which Linux marks what is in force: "always [madvise] never"."""
    match = re.search(r"\[(\w+)\]", text)
    return match[1] if match else ""


def surroundings_table(found: Surroundings) -> list[tuple[str, str, str]]:
    """Rows as those of `machine_table`."""
    caches = ", ".join(
        f"L{one.level} {one.kind} {bytes_text(one.size_bytes)}" + (f" (processors {one.shared_by})" * (one.level > 2))
        for one in found.caches
    )
    gpus = [
        f"{one.name}, {bytes_text(one.memory_bytes)}, compute capability {one.capability}, "
        f"{'with' if one.bfloat16 else 'without'} bfloat16"
        for one in found.gpus
    ]
    rows = [
        ("held down by", " ".join(found.held_down_by) or "nothing"),
        ("caches", caches or "not told"),
        ("GPU", "; ".join(gpus) or "none that torch can use"),
        ("C library", f"{found.c_library or 'not GNU'}; {' '.join(found.tunables) or 'nothing set'}"),
        ("huge pages", found.huge_pages or "not told"),
        ("versions", ", ".join(f"{name} {number}" for name, number in found.versions.items())),
    ]
    return [("found", name, value) for name, value in rows]


def _gpus() -> tuple[Gpu, ...]:
    if not torch.cuda.is_available():
        return ()
    found = []
    for number in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(number)
        # Tensor cores multiply in bfloat16 from Ampere on.
        found.append(Gpu(about.name, about.total_memory, f"{about.major}.{about.minor}", about.major >= 8))
    return tuple(found)


def _versions() -> dict[str, str]:
    """Torch's own libraries out of what it tells of its build."""
    built = torch.__config__.show()
    blas, onednn = re.search(r"BLAS_INFO=(\w+)", built), re.search(r"MKL-DNN v([\d.]+)", built)
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", built)
    return {
        "numpy": numpy.__version__,
        "BLAS": f"{blas[1] if blas else 'not told'}{f' {mkl[1]}' if mkl else ''}",
        "oneDNN": onednn[1] if onednn else "none",
        "ATen's instructions": torch.backends.cpu.get_cpu_capability(),
    }
