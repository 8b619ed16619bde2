"""What matrix products reach here, format by format, measured in a third of a second on any machine."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chainrule.base import ProcessorClass

# Sizes of square products, small first. On a CPU one core multiplies what its own caches hold: 384 takes it a
# millisecond, less than the slice of time that another program gets, so the best of a few is the core's own speed even
# on a busy machine (104 and 218 GFLOP/s at a load of 8 on two cores, where 1536 on two threads gave 20 and 54).
SIZES = {"cpu": (128, 256, 384, 512), "mps": (512, 1024, 2048, 4096), "cuda": (1024, 2048, 4096, 8192)}
LIMIT_SECONDS = 0.3
# Of this limit, a moment of one format; and the longest product that still leaves room for several.
MOMENT_SECONDS, LONGEST_SECONDS = 0.010, {"cpu": 0.004, "mps": 0.030, "cuda": 0.030}
MOMENTS = 4
SPARE_SECONDS = 0.05  # a moment, and a product that another program interrupts
# A format that reaches less than this share of another at two small sizes is emulated, and is not tried further.
LOSES, LOST_FOR_GOOD = 0.5, 2
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
# Of its speed in the caches, what all cores at once keep in large products: 84 of 104 and 189 of 218 GFLOP/s on one
# Zen 4 core; 140 of twice 90 on two Zen 3 cores.
LARGE_SHARE = 0.8
# Below this share of a core's time something else runs on the processor.
BUSY_SHARE = 0.8


@dataclass(frozen=True)
class Peaks:
    """FLOP/s by number format, of one core or of the whole GPU; how long that took, and how much of its core it got."""

    flops: dict[str, float]
    seconds: float
    core_share: float = 1.0

    @property
    def busy(self) -> bool:
        """Whether another program used the processor meanwhile."""
        return self.core_share < BUSY_SHARE


def measured_peaks(device: str, precisions: Sequence[str]) -> Peaks:
    """The best of several moments for each format; on a CPU of one core. The generators of the process are not used."""
    threads = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    began, used = time.perf_counter(), time.thread_time()
    try:
        flops = _race(device, precisions, began)
    finally:
        torch.set_num_threads(threads)
    seconds = time.perf_counter() - began
    share = min(1.0, (time.thread_time() - used) / seconds) if device == "cpu" else 1.0
    return Peaks(flops, seconds, share)


def _race(device: str, precisions: Sequence[str], began: float) -> dict[str, float]:
    """Climbs through the sizes with every format that keeps up, then looks again at the largest that each reached."""
    factors = _factors(device, SIZES[device][-1])
    best, reached = dict.fromkeys(precisions, 0.0), dict.fromkeys(precisions, SIZES[device][0])
    lost = dict.fromkeys(precisions, 0)
    for size in (*SIZES[device], *[None] * MOMENTS):
        # Once is bad luck: a kernel that was just being made, or another program, took its first moment.
        for precision in [one for one in precisions if lost[one] < LOST_FOR_GOOD]:
            wanted = size or reached[precision]
            if best[precision] and 2 * wanted**3 / best[precision] > LONGEST_SECONDS[device]:
                wanted = reached[precision]
            if best[precision] and time.perf_counter() - began > LIMIT_SECONDS - SPARE_SECONDS:
                continue
            reached[precision] = wanted
            a, b = (factor[: wanted**2].view(wanted, wanted).to(DTYPES[precision]) for factor in factors)
            best[precision] = max(best[precision], _moment(a, b))
        for precision in precisions:
            lost[precision] = lost[precision] + 1 if best[precision] < LOSES * max(best.values()) else 0
    return best


def _moment(a: Tensor, b: Tensor) -> float:
    """FLOP/s of the quickest product within a moment, at least two."""
    product = torch.empty_like(a)
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < 2 or time.perf_counter() - began < MOMENT_SECONDS:
        start = time.perf_counter()
        torch.mm(a, b, out=product)
        if a.device.type != "cpu":
            product[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * len(a) ** 3 / min(seconds)


def product_flops(size: int, precision: str) -> float:
    """FLOP/s of square products of this size on the CPU, on as many threads as torch has now, within a moment."""
    a, b = (factor.view(size, size).to(DTYPES[precision]) for factor in _factors("cpu", size))
    return _moment(a, b)


def _factors(device: str, size: int) -> tuple[Tensor, Tensor]:
    """Random numbers, because constant ones draw less power and flatter GPUs; from a generator of their own."""
    generator = torch.Generator(device).manual_seed(0)
    a, b = torch.randn(2, size**2, generator=generator, device=device)
    return a, b


def planned_flops(peaks: Peaks, precision: str, kind: ProcessorClass) -> float:
    """FLOP/s of one core of a CPU in a large product that all cores share, for the plan.

    A figure below the class's least is another program's doing when the core was shared: then the least is planned
    with. When the core was this process's own the machine is slow (throttled, emulated), and the figure holds.
    """
    low = is_low(peaks, precision, kind) and peaks.busy
    return LARGE_SHARE * (kind.least_flops(precision) if low else peaks.flops[precision])


def is_low(peaks: Peaks, precision: str, kind: ProcessorClass) -> bool:
    """Whether a core did less than any of its class does when it is left alone."""
    return peaks.flops[precision] < kind.least_flops(precision)
