"""Peaks of this machine, measured in a few seconds: products on one thread and on all, memory, the disk of the runs."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from chainrule.base import busy_seconds, cpu_pressure, free_bytes, temporary_name
from chainrule.device.facts import MachineFacts
from chainrule.device.peak import product_flops

# Large enough that all threads have work and no cache holds the factors; a product that would take longer is left out.
PRODUCTS, LONGEST_PRODUCT_SECONDS = (512, 1024, 2048), 0.25
# Far beyond any cache; of a small memory an eighth.
ARRAY_BYTES, MEMORY_SHARE, TIMES = 2**28, 8, 3
WRITTEN_BYTES, DISK_SHARE = 2**26, 4


@dataclass(frozen=True)
class Measured:
    """FLOP/s by number format on one thread and on `threads`; bytes a second, each read or write of a byte counted.

    `disk` is None where nothing could be written. `others` is how many processors other programs kept busy meanwhile,
    and `pressure` the share of the last ten seconds in which some task waited for one; None where the system does not
    tell.
    """

    threads: int
    one_thread: dict[str, float]
    all_threads: dict[str, float]
    copied: float
    summed: float
    disk: float | None
    others: float | None
    pressure: float | None
    seconds: float


def measure_machine(facts: MachineFacts, folder: Path) -> Measured:
    """Takes 2 to 5 s; `folder` is where runs go. Nothing stays behind, and torch's threads are as before."""
    start, used, busy = time.perf_counter(), time.process_time(), busy_seconds()
    threads = facts.cores if facts.device != "cpu" else facts.threads
    one = {precision: _products(precision, 1) for precision in facts.measured}
    every = {precision: _products(precision, threads) for precision in facts.measured} if threads > 1 else one
    with _on_threads(threads):
        copied, summed = memory_speed(min(ARRAY_BYTES, facts.memory_bytes // MEMORY_SHARE))
    seconds, now, pressure = time.perf_counter() - start, busy_seconds(), cpu_pressure()
    mine = time.process_time() - used
    others = max(0.0, (now - busy - mine) / seconds) if now is not None and busy is not None else None
    disk = write_speed(folder)
    last = pressure.last_10 if pressure else None
    return Measured(threads, one, every, copied, summed, disk, others, last, time.perf_counter() - start)


def memory_speed(n_bytes: int) -> tuple[float, float]:
    """Bytes a second of a copy (each byte read and written) and of a sum (read), the best of a few."""
    numbers = torch.ones(n_bytes // 4)
    other = torch.empty_like(numbers)
    return 2 * n_bytes / _quickest(lambda: other.copy_(numbers)), n_bytes / _quickest(numbers.sum)


def write_speed(folder: Path) -> float | None:
    """Bytes a second into a file that is made durable, where runs go (or will); None where nothing can be written."""
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.is_dir())
    n_bytes = min(WRITTEN_BYTES, free_bytes(there) // DISK_SHARE)
    path = temporary_name(there / "doctor")
    if not n_bytes:
        return None
    # Random, because some file systems keep zeros as a number.
    content = os.urandom(n_bytes)
    start = time.perf_counter()
    try:
        with path.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        return n_bytes / (time.perf_counter() - start)
    except OSError:
        return None
    finally:
        path.unlink(missing_ok=True)


def measured_table(found: Measured) -> list[tuple[str, str, str]]:
    """Rows as those of `machine_table`."""
    rows = [(f"products in {name}", _products_text(found, name)) for name in found.one_thread]
    disk = f"{found.disk / 1e6:,.0f} MB/s" if found.disk is not None else "nothing could be written"
    rows += [
        ("memory", f"copy {found.copied / 1e9:.1f} GB/s (read and written), sum {found.summed / 1e9:.1f} GB/s"),
        ("disk of the runs", disk),
        ("other programs", _others_text(found)),
    ]
    return [("measured", name, value) for name, value in rows]


def _products_text(found: Measured, name: str) -> str:
    one, every = found.one_thread[name] / 1e9, found.all_threads[name] / 1e9
    return f"{one:,.1f} GFLOP/s on 1 thread, {every:,.1f} on {found.threads}"


def _others_text(found: Measured) -> str:
    taken = "not told" if found.others is None else f"{found.others:.1f} processors busy with them"
    return taken + (
        "" if found.pressure is None else f"; some task waited for one in {found.pressure:.0%} of the last ten seconds"
    )


def _products(precision: str, threads: int) -> float:
    """FLOP/s of the best square product that does not take too long."""
    best = 0.0
    with _on_threads(threads):
        for size in PRODUCTS:
            if best and 2 * size**3 / best > LONGEST_PRODUCT_SECONDS:
                break
            best = max(best, product_flops(size, precision))
    return best


def _quickest(once: Callable[[], object]) -> float:
    seconds = []
    for _ in range(TIMES):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@contextmanager
def _on_threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
