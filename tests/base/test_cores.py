import os
import struct
from pathlib import Path

import pytest

from chainrule.base import Cores, found_cores, usable_cores
from chainrule.base.cores import of_records, of_sysctl, of_sysfs
from chainrule.base.macos import sysctl_values
from chainrule.base.windows import CoreRecord, read_core_records


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


def machine(root: Path, siblings: list[str], **more: str) -> Path:
    """A root folder with the topology of processors 0, 1, …"""
    for number, text in enumerate(siblings):
        write(root, f"sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list", text + "\n")
    for name, text in more.items():
        write(root, name, text)
    return root


def test_here_there_is_at_least_one_core_and_no_more_than_processors():
    cores = found_cores()
    assert 1 <= cores.fast <= cores.physical <= cores.logical <= (os.cpu_count() or 1)
    assert 1 <= usable_cores() == cores.usable <= cores.physical


def test_hyper_threads_are_one_core(tmp_path):
    root = machine(tmp_path, ["0,4", "1,5", "2,6", "3,7"] * 2)
    assert of_sysfs(root, range(8)) == Cores(logical=8, physical=4, fast=4)


def test_only_the_cores_of_the_affinity_count(tmp_path):
    root = machine(tmp_path, ["0-1", "0-1", "2-3", "2-3", "4-5", "4-5"])
    assert of_sysfs(root, [0, 1, 2]) == Cores(logical=3, physical=2, fast=2)


def test_the_efficiency_cores_of_a_hybrid_processor_are_slow(tmp_path):
    siblings = ["0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"]
    root = machine(tmp_path, siblings, **{"sys/devices/cpu_atom/cpus": "4-7\n", "sys/devices/cpu_core/cpus": "0-3\n"})
    assert of_sysfs(root, range(8)) == Cores(logical=8, physical=6, fast=2)


def test_arms_small_cores_are_slow(tmp_path):
    capacities = {f"sys/devices/system/cpu/cpu{n}/cpu_capacity": "446\n" if n < 4 else "1024\n" for n in range(6)}
    assert of_sysfs(machine(tmp_path, list("012345"), **capacities), range(6)) == Cores(6, 6, 2)


def test_without_sys_the_list_of_processors_tells_the_cores(tmp_path):
    blocks = [f"processor\t: {n}\nphysical id\t: 0\ncore id\t\t: {n // 2}\n" for n in range(4)]
    write(tmp_path, "proc/cpuinfo", "\n".join(blocks))
    assert of_sysfs(tmp_path, range(4)) == Cores(logical=4, physical=2, fast=2)


def test_a_system_that_tells_nothing_has_as_many_cores_as_processors(tmp_path):
    assert of_sysfs(tmp_path, range(3)) == Cores(3, 3, 3)


@pytest.mark.parametrize(("quota", "usable"), [(None, 8), (0.3, 1), (1.0, 1), (1.5, 2), (2.9, 3), (64.0, 8)])
def test_a_quota_bounds_the_cores_that_compute_at_once(quota, usable):
    assert Cores(16, 8, 8, quota).usable == usable


def test_macos_tells_its_performance_cores():
    text = "hw.ncpu: 10\nhw.logicalcpu: 10\nhw.physicalcpu: 10\nhw.perflevel0.physicalcpu: 8\nhw.memsize: 17179869184\n"
    assert of_sysctl(sysctl_values(text)) == Cores(10, 10, 8)
    assert of_sysctl(sysctl_values("hw.logicalcpu: 8\nhw.physicalcpu: 4\n")) == Cores(8, 4, 4)  # Intel
    assert of_sysctl({}).physical == (os.cpu_count() or 1)


def record(mask: int, efficiency: int, group: int = 0) -> bytes:
    """A SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX of a core, as winnt.h lays it out."""
    body = struct.pack("<BB20xHQH6x", mask.bit_count() > 1, efficiency, 1, mask, group)
    return struct.pack("<II", 0, 8 + len(body)) + body


def test_windows_tells_cores_hyper_threads_and_efficiency_classes():
    cache = struct.pack("<II24x", 2, 32)  # another kind of record, which is passed over
    answer = record(0b11, 1) + record(0b1100, 1) + cache + record(0b10000, 0) + record(0b100000, 0)
    records = list(read_core_records(answer))
    assert records[0] == CoreRecord(0b11, 0, 1)
    assert of_records(records, -1) == Cores(logical=6, physical=4, fast=2)
    assert of_records(records, 0b110011) == Cores(logical=4, physical=3, fast=1)


def test_windows_beyond_64_processors_counts_all_groups():
    records = list(read_core_records(record(0b1, 0) + record(0b1, 0, group=1)))
    assert of_records(records, 0b1) == Cores(2, 2, 2)


def test_an_answer_that_windows_did_not_give_is_made_up_for():
    assert of_records([], -1).physical == (os.cpu_count() or 1)
    assert list(read_core_records(b"\0" * 7)) == []
