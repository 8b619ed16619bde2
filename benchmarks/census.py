"""Memory and seconds of deciding what is kept, for so many synthetic documents of which one in fifty has a near copy.

    python benchmarks/census.py [--millions 2]

Rows are as the scan writes them (30 bytes and 256 for a signature); nothing is read from texts.
"""

import argparse
import contextlib
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from about import print_about

from chainrule.config import TextConfig
from chainrule.data.census import decide
from chainrule.data.similarity import PERMUTATIONS
from chainrule.data.table import DOCUMENT, Rows, TableFiles

AT_ONCE = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", type=float, default=2)
    millions = parser.parse_args().millions
    print_about()
    with tempfile.TemporaryDirectory(prefix="chainrule-census-") as folder:
        tables = TableFiles(Path(folder))
        fill(tables, int(millions * 1e6))
        forget_peak()
        before, start, busy = peak_bytes(), time.perf_counter(), time.process_time()
        held = decide(tables, TextConfig())
        seconds, cpu, more = time.perf_counter() - start, time.process_time() - busy, peak_bytes() - before
    n = len(held.states)
    print(f"documents {n:,}; near duplicates {int((held.states == 4).sum() + (held.states == 6).sum()):,}")
    print(f"seconds   {seconds:.1f}, of processor time {cpu:.1f}: {1e6 * cpu / n:.1f} us a document")
    print(f"memory    {more / 2**20:,.0f} MiB, {more / n:.0f} bytes a document (with the mapped table)")


def fill(tables: TableFiles, n: int) -> None:
    """Documents of about 2 KB; two in a hundred differ from the one before in a tenth of their places."""
    chooser = np.random.default_rng(0)
    for start in range(0, n, AT_ONCE):
        rows = min(AT_ONCE, n - start)
        documents = np.zeros(rows, DOCUMENT)
        documents["signed"], documents["bytes"] = True, chooser.integers(200, 4000, rows)
        documents["digest"] = chooser.integers(0, 2**63, (rows, 2))
        signatures = chooser.integers(0, 2**16, (rows, PERMUTATIONS), np.uint16)
        copies = np.arange(1, rows, 50)
        signatures[copies] = signatures[copies - 1]
        signatures[copies[:, None], chooser.integers(0, PERMUTATIONS, (len(copies), 12))] = 7
        tables.append(Rows(rows, documents.tobytes(), signatures.tobytes()))


def forget_peak() -> None:
    """Makes the peak what is resident now, where the system can: measuring the machine took more than the census."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
