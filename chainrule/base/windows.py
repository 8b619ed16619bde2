"""What Windows tells of itself, which has no /proc: the answers of kernel32, and how they are read."""

import ctypes
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

# RelationProcessorCore of GetLogicalProcessorInformationEx; features of IsProcessorFeaturePresent (winnt.h).
PROCESSOR_CORE = 0
FEATURES = {"asimd": 19, "avx2": 40, "avx512f": 41}
# Relationship and size; flags, efficiency class and 20 reserved bytes; the number of groups; a mask and its group.
HEAD, CORE, GROUPS, GROUP = struct.Struct("<II"), struct.Struct("<BB20x"), struct.Struct("<H"), struct.Struct("<QH6x")


@dataclass(frozen=True)
class CoreRecord:
    """A physical core: the mask of its hyper-threads within a group of processors, and how quick its kind is."""

    mask: int
    group: int
    efficiency: int


class MemoryStatus(ctypes.Structure):
    """MEMORYSTATUSEX: what GlobalMemoryStatusEx fills in, in bytes."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        ("total_page_file", ctypes.c_uint64),
        ("available_page_file", ctypes.c_uint64),
        ("total_virtual", ctypes.c_uint64),
        ("available_virtual", ctypes.c_uint64),
        ("available_extended", ctypes.c_uint64),
    )


def read_core_records(answer: bytes) -> Iterator[CoreRecord]:
    """The cores in the answer of GetLogicalProcessorInformationEx, a row of structures of their own length each."""
    at = 0
    while at + HEAD.size <= len(answer):
        kind, size = HEAD.unpack_from(answer, at)
        if kind == PROCESSOR_CORE and size:
            _, efficiency = CORE.unpack_from(answer, at + HEAD.size)
            mask, group = GROUP.unpack_from(answer, at + HEAD.size + CORE.size + GROUPS.size)
            yield CoreRecord(mask, group, efficiency)
        at += max(size, HEAD.size)


def core_records() -> list[CoreRecord]:
    """The cores of this machine; none where they cannot be asked for."""
    if sys.platform != "win32":
        return []
    ask = ctypes.windll.kernel32.GetLogicalProcessorInformationEx
    size = ctypes.c_uint32(0)
    ask(PROCESSOR_CORE, None, ctypes.byref(size))
    answer = ctypes.create_string_buffer(size.value)
    return list(read_core_records(answer.raw)) if ask(PROCESSOR_CORE, answer, ctypes.byref(size)) else []


def allowed_mask() -> int:
    """The processors of its own group that this process may use, as a mask; all where it cannot be asked for."""
    if sys.platform != "win32":
        return -1
    kernel = ctypes.windll.kernel32
    mine, all_of_them = ctypes.c_size_t(0), ctypes.c_size_t(0)
    # A handle is as wide as a pointer; without its type the pseudo handle -1 would be cut to 32 bits.
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.GetCurrentProcess())
    done = kernel.GetProcessAffinityMask(handle, ctypes.byref(mine), ctypes.byref(all_of_them))
    return mine.value if done and mine.value else -1


def memory_status() -> MemoryStatus | None:
    """The memory of this machine; None where it cannot be asked for."""
    if sys.platform != "win32":
        return None
    status = MemoryStatus(length=ctypes.sizeof(MemoryStatus))
    return status if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None


def processor_features() -> set[str]:
    """Those of `FEATURES` that the processor has; bfloat16 instructions cannot be asked for."""
    if sys.platform != "win32":
        return set()
    present = ctypes.windll.kernel32.IsProcessorFeaturePresent
    return {name for name, number in FEATURES.items() if present(number)}
