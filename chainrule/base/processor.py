"""What the processor can compute quickly: its class, as torch will use it.

Training asks one thing of a processor: which number formats its cores multiply natively. That makes five classes of the
many there are, and none of them is a special case of another.
"""

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chainrule.base import macos, windows
from chainrule.base.told import told

# Whatever else it is, a core that trains runs at this many cycles a second, if it is left to this process.
LEAST_HERTZ = 1.2e9


@dataclass(frozen=True)
class ProcessorClass:
    """A kind of core: its name, and what one core does in a cycle, at the least, in a large matrix product.

    `bfloat16_per_cycle` is 0 where products in bfloat16 are emulated, many times slower than float32.
    """

    name: str
    words: str
    float32_per_cycle: int
    bfloat16_per_cycle: int = 0

    @property
    def bfloat16(self) -> bool:
        """Whether cores of this class have instructions for products in bfloat16."""
        return self.bfloat16_per_cycle > 0

    @property
    def attends_by_products(self) -> bool:
        """Whether attention in bfloat16 is trained by two plain products that keep their scores, and not fused.

        The fused kernel's backward pass is slow on a CPU in bfloat16, and there alone; and only where products in
        bfloat16 are native. Explicit and fused, [4, 4, 256, 64], milliseconds of one Zen 4 core's time: 15 and 16 with
        AVX-512 bfloat16; 150 and 64 forced to AVX2; 35 and 31 forced to AVX-512 without bfloat16.
        """
        return self.bfloat16

    def least_flops(self, precision: str) -> float:
        """FLOP/s that one core reaches when nothing else uses it; 0 where nothing can be expected."""
        return LEAST_HERTZ * (self.bfloat16_per_cycle if precision == "bfloat16" else self.float32_per_cycle)


# Operations a cycle, at the least. AVX2: efficiency cores with units half as wide; Zen 3 has 32 (80 to 92 GFLOP/s a
# core, measured). AVX-512 with bfloat16: Zen 4's units are half as wide as its registers (103 and 218 GFLOP/s a core,
# measured). AMX: a Sapphire Rapids core made 1,300 GFLOP/s; 2,048 operations by the manual. ARM: one unit of 128 bits
# (Cortex-A72), two from ARMv8.6 on, which has bfloat16; by arithmetic, none was at hand.
AVX2 = ProcessorClass("avx2", "AVX2, float32 only", 16)
AVX512_BF16 = ProcessorClass("avx512-bf16", "AVX-512 with bfloat16", 28, 56)
AMX = ProcessorClass("amx", "AMX, bfloat16 in tiles", 28, 400)
NEON = ProcessorClass("neon", "ARM NEON, float32 only", 8)
NEON_BF16 = ProcessorClass("neon-bf16", "ARM NEON with bfloat16", 16, 32)
OTHER = ProcessorClass("other", "no vector instructions that are known", 1)
CLASSES = {kind.name: kind for kind in (AVX2, AVX512_BF16, AMX, NEON, NEON_BF16, OTHER)}

# AVX-512 without bfloat16 instructions (Skylake to Ice Lake) belongs to AVX2: there oneDNN makes bfloat16 products of
# float32 ones, at a third of float32's speed (36 against 103 GFLOP/s, ONEDNN_MAX_CPU_ISA=AVX512_CORE on Zen 4).
X86 = (OTHER, AVX2, AVX512_BF16, AMX)
# The most that each value of oneDNN's and ATen's variables allows; values that are not here allow everything.
ONEDNN_ALLOWS = {
    **dict.fromkeys(("sse41", "avx"), OTHER),
    **dict.fromkeys(("avx2", "avx2_vnni", "avx2_vnni_2", "avx512_core", "avx512_core_vnni"), AVX2),
    **dict.fromkeys(("avx512_core_bf16", "avx512_core_fp16", "avx10_1_512", "avx10_2_512"), AVX512_BF16),
}
ATEN_ALLOWS = {"default": OTHER, "avx2": AVX2}
VARIABLES = {"ONEDNN_MAX_CPU_ISA": ONEDNN_ALLOWS, "DNNL_MAX_CPU_ISA": ONEDNN_ALLOWS, "ATEN_CPU_CAPABILITY": ATEN_ALLOWS}


def processor_class() -> ProcessorClass:
    """The class that torch will use here: the processor's own, or a lower one that the environment forces."""
    return class_of(_flags(), os.environ)


def held_down() -> tuple[ProcessorClass, tuple[str, ...]]:
    """The processor's own class, and the variables (NAME=value) that keep torch below it; none where none does."""
    own = class_of(_flags())
    return own, lowered_by(own, os.environ)


def lowered_by(own: ProcessorClass, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The variables, as NAME=value, that allow less than this class."""
    if own not in X86:
        return ()
    given = [(name, environment[name], table) for name, table in VARIABLES.items() if name in environment]
    lower = [(name, word) for name, word, table in given if X86.index(table.get(word.lower(), AMX)) < X86.index(own)]
    return tuple(f"{name}={word}" for name, word in lower)


def class_of(flags: Iterable[str], environment: Mapping[str, str] = {}) -> ProcessorClass:
    """The class of a processor with these features, spelled as in /proc/cpuinfo; no higher than the variables allow."""
    has = set(flags)
    if "asimd" in has:
        return NEON_BF16 if "bf16" in has else NEON
    own = AVX2 if "avx2" in has else OTHER
    if {"avx2", "avx512f", "avx512_bf16"} <= has:
        own = AMX if {"amx_tile", "amx_bf16"} <= has else AVX512_BF16
    allowed = [table.get(environment.get(name, "").lower(), AMX) for name, table in VARIABLES.items()]
    return min((own, *allowed), key=X86.index)


def processor_name() -> str:
    """The processor's name as the machine gives it."""
    if sys.platform == "darwin":
        name = macos.sysctl_values(macos.asked("sysctl", "machdep.cpu.brand_string")).get("machdep.cpu.brand_string")
    else:
        name = cpuinfo_value(told(Path("/proc/cpuinfo")), "model name")
    return name or platform.processor() or platform.machine()


def cpuinfo_value(text: str, *names: str) -> str | None:
    """The first value in /proc/cpuinfo under one of these names."""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in names:
            return value.strip()
    return None


def sysctl_flags(values: Mapping[str, str]) -> set[str]:
    """The features that macOS tells, spelled as Linux does."""
    names = {"hw.optional.arm64": "asimd", "hw.optional.arm.FEAT_BF16": "bf16"}
    names |= {"hw.optional.avx2_0": "avx2", "hw.optional.avx512f": "avx512f"}
    return {flag for name, flag in names.items() if values.get(name) == "1"}


@cache
def _flags() -> frozenset[str]:
    """The processor's features; they do not change while a process lives."""
    if sys.platform == "darwin":
        return frozenset(sysctl_flags(macos.sysctl_values(macos.asked("sysctl", "hw"))))
    if sys.platform == "win32":
        return frozenset(windows.processor_features())
    return frozenset((cpuinfo_value(told(Path("/proc/cpuinfo")), "flags", "Features") or "").split())
