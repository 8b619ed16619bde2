"""What is left on the table: each thing that keeps this machine below what it could do, and what to do about it."""

import os
from collections.abc import Iterator, Mapping

from chainrule.base import CLASSES, bytes_text
from chainrule.device.facts import MachineFacts
from chainrule.device.measured import Measured
from chainrule.device.surroundings import Surroundings

# From here on other programs show in every figure; below it is the system itself.
OTHERS = 0.2
# Threads that bring less than this are noise.
SLOWER = 0.95
SLOW_DISK = 50e6
# Of GPT-2 124M with AdamW: weights and two moments in float32.
CHECKPOINT_BYTES = 12 * 124_000_000
KEEPS_MEMORY = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592"
# The first glibc that can ask for huge pages itself.
LEAST_GLIBC = (2, 35)


def left_on_the_table(
    facts: MachineFacts, around: Surroundings, measured: Measured | None, environment: Mapping[str, str] = os.environ
) -> list[str]:
    """One sentence each, with the remedy where there is one; empty where nothing is left."""
    said = [*_class(facts, around), *_cores(facts, environment), *_memory(around)]
    return [*said, *(_measured(facts, measured) if measured else ())]


def _class(facts: MachineFacts, around: Surroundings) -> Iterator[str]:
    if around.held_down_by:
        words, names = " ".join(around.held_down_by), [one.partition("=")[0] for one in around.held_down_by]
        yield (
            f"{words} holds this processor down to {facts.processor_class}, and it is {around.own_class} "
            f"({CLASSES[around.own_class].words}): unset {' and '.join(names)}"
        )
    if facts.device == "cpu" and not facts.kind.bfloat16:
        yield (
            f"bfloat16 is emulated by this class ({facts.processor_class}): products are made in float32, and nothing "
            "is to be done about it"
        )
    if around.driver and not around.gpus:
        yield (
            "an NVIDIA driver is here, and this build of torch cannot use it: install torch for CUDA "
            "(https://pytorch.org/get-started/locally)"
        )


def _cores(facts: MachineFacts, environment: Mapping[str, str]) -> Iterator[str]:
    most = max(facts.thread_choices, default=facts.threads)
    if facts.device == "cpu" and most < facts.cores and environment.get("OMP_NUM_THREADS"):
        yield (
            f"OMP_NUM_THREADS={environment['OMP_NUM_THREADS']} leaves {facts.cores - most} of {facts.cores} cores "
            f"unused: unset it, or take --machine.threads {facts.cores}"
        )
    if facts.quota is not None and facts.quota < facts.logical_cores:
        yield (
            f"a control group allows the time of {facts.quota:g} of {facts.logical_cores} processors: raise the limit "
            "of the container (docker run --cpus), if you may"
        )
    if facts.device == "cpu" and facts.spins == "the default":
        yield (
            "torch was loaded before chainrule, so that its threads spin long when they wait: import chainrule first, "
            "or set GOMP_SPINCOUNT=10000"
        )


def _memory(around: Surroundings) -> Iterator[str]:
    """Measured once: 9 % of a step of 10M parameters on an AMX machine, where the library's defaults were before."""
    if around.huge_pages == "never":
        yield (
            "transparent huge pages are off: as root, echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, and "
            f"start with GLIBC_TUNABLES=glibc.malloc.hugetlb=1:{KEEPS_MEMORY}"
        )
    elif around.huge_pages == "madvise" and _can_ask(around.c_library) and not around.tunables:
        yield (
            "huge pages go to programs that ask for them, and the C library does not: start with "
            f"GLIBC_TUNABLES=glibc.malloc.hugetlb=1:{KEEPS_MEMORY} and see whether `chainrule bench training` gains"
        )


def _can_ask(library: str) -> bool:
    name, _, number = library.partition(" ")
    parts = [int(part) for part in number.split(".") if part.isdigit()]
    return name == "glibc" and tuple(parts[:2]) >= LEAST_GLIBC


def _measured(facts: MachineFacts, found: Measured) -> Iterator[str]:
    if found.others is not None and found.others >= OTHERS:
        yield (
            f"other programs take {found.others:.1f} of {facts.logical_cores} processors: the figures here are low, "
            "and so is the speed of a run; end them"
        )
    one, every = (table.get(facts.precision, 0.0) for table in (found.one_thread, found.all_threads))
    if facts.device == "cpu" and found.threads > 1 and every < SLOWER * one:
        yield (
            f"{found.threads} threads are slower than 1 just now ({every / 1e9:,.0f} and {one / 1e9:,.0f} GFLOP/s in "
            f"{facts.precision}): --machine.threads 1, or end what holds the other cores"
        )
    if found.disk is None:
        yield "nothing could be written where runs go: give another folder with --runs-folder"
    elif found.disk < SLOW_DISK:
        yield (
            f"the disk of the runs takes {found.disk / 1e6:,.0f} MB/s: a checkpoint of GPT-2 124M "
            f"({bytes_text(CHECKPOINT_BYTES)}) needs {CHECKPOINT_BYTES / found.disk:,.0f} s; give a quicker one with "
            "--runs-folder, or save less often (--training.save-every)"
        )
