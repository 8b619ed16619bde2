import ctypes
from pathlib import Path

import pytest

from chainrule.base import available_memory, peak_bytes, resident_bytes, usable_memory
from chainrule.base.macos import asked, free_by_vm_stat
from chainrule.base.memory import available_in, installed_in
from chainrule.base.windows import MemoryStatus

MEMINFO = (
    "MemTotal:       8000000 kB\nMemFree:         500000 kB\nMemAvailable:   3000000 kB\nCached:         2000000 kB\n"
)
VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               10000.
Pages active:                            400000.
Pages inactive:                           20000.
Pages speculative:                         3000.
Pages throttled:                              0.
Pages wired down:                        100000.
Pages purgeable:                            400.
"""


def with_meminfo(root: Path, text: str) -> Path:
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(text, encoding="utf-8")
    return root


def test_here_less_can_be_had_than_there_is():
    assert 2**28 < available_memory() <= usable_memory()


def test_the_most_that_was_held_grows_with_what_is_held_and_stays_when_it_is_let_go():
    before = peak_bytes()
    if before is None:
        pytest.skip("this system does not say")
    held = bytearray(resident_bytes() // 2 + 2**24)
    held[::4096] = b"1" * len(held[::4096])
    most = peak_bytes()
    del held
    # Linux counts pages in each thread first, and adds them up now and then.
    assert most >= before - 2**22 and most >= resident_bytes() + 2**23 and abs(peak_bytes() - most) < 2**22


def test_what_others_hold_cannot_be_had(tmp_path):
    root = with_meminfo(tmp_path, MEMINFO)
    assert (installed_in(root), available_in(root)) == (8_000_000 * 1024, 3_000_000 * 1024)


def test_a_kernel_that_makes_no_estimate_is_helped_out(tmp_path):
    assert available_in(with_meminfo(tmp_path, MEMINFO.replace("MemAvailable", "Other"))) == 2_500_000 * 1024


def test_the_groups_limit_and_use_count(tmp_path):
    root = with_meminfo(tmp_path, MEMINFO)
    (root / "proc/self").mkdir()
    (root / "proc/self/cgroup").write_text("0::/job\n", encoding="utf-8")
    mount = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
    (root / "proc/self/mountinfo").write_text(mount, encoding="utf-8")
    (root / "sys/fs/cgroup/job").mkdir(parents=True)
    (root / "sys/fs/cgroup/job/memory.max").write_text("1000000000\n", encoding="utf-8")
    (root / "sys/fs/cgroup/job/memory.current").write_text("400000000\n", encoding="utf-8")
    assert (installed_in(root), available_in(root)) == (10**9, 6 * 10**8)


def test_a_system_that_tells_nothing_is_not_guessed_at_by_files(tmp_path):
    assert (installed_in(tmp_path), available_in(tmp_path)) == (None, None)


def test_macos_counts_what_is_free_or_can_be_dropped():
    assert free_by_vm_stat(VM_STAT) == 16384 * (10000 + 20000 + 3000 + 400)
    assert free_by_vm_stat("") is None


def test_a_command_that_is_not_there_says_nothing():
    assert asked("no-such-command-of-any-system") == ""


def test_windows_answer_has_the_size_that_it_asks_for():
    # sizeof(MEMORYSTATUSEX) of sysinfoapi.h; the call refuses any other.
    assert ctypes.sizeof(MemoryStatus) == 64
    assert MemoryStatus.available.offset == 16
