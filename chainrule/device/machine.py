"""The machine a run is on: which device, which number format, how many threads, and why."""

import platform
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from chainrule.base import DeviceError, usable_cores, usable_memory
from chainrule.config import MachineConfig
from chainrule.plan import Machine

PEAK_SIZES = {"cpu": 1536, "mps": 4096, "cuda": 8192}
PEAK_REPEATS = 5
# bfloat16 halves memory traffic, but on a processor without its instructions it is emulated, and many times slower.
BF16_PAYS = 1.3


@dataclass(frozen=True)
class MachineFacts:
    """What was found and chosen; `peak_flops` is the FLOP/s of a large matrix product in the chosen precision."""

    cpu: str
    cores: int
    threads: int
    memory_bytes: int
    device: str
    device_name: str
    reason: str
    precision: str
    precision_reason: str
    peak_flops: float
    torch: str
    python: str

    @property
    def planned(self) -> Machine:
        """What the plan needs of it."""
        return Machine(self.threads, self.memory_bytes, self.peak_flops, self.device)

    def row(self) -> dict[str, Any]:
        """All facts by name."""
        return asdict(self)


def look_at_machine(settings: MachineConfig) -> MachineFacts:
    """Chooses device, threads and precision as `settings` allow, measures the peak, and sets torch's threads.

    Takes about a third of a second. Raises DeviceError when the device that was asked for is not there.
    """
    device, reason = choose_device(settings.device)
    cores = usable_cores()
    torch.set_num_threads(settings.threads or cores)
    facts = MachineFacts(
        cpu=cpu_name(),
        cores=cores,
        threads=settings.threads or cores,
        memory_bytes=device_memory(device),
        device=device,
        device_name=torch.cuda.get_device_name() if device == "cuda" else cpu_name(),
        reason=reason,
        precision="float32",
        precision_reason="as set",
        peak_flops=0.0,
        torch=torch.__version__,
        python=platform.python_version(),
    )
    return choose_precision(facts, settings.precision)


def choose_device(wanted: str) -> tuple[str, str]:
    """The device, and the reason in a few words."""
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        if here["cuda"]:
            return "cuda", "a CUDA GPU is here"
        return ("mps", "an Apple GPU is here") if here["mps"] else ("cpu", "no GPU is here")
    if not here[wanted]:
        why = "this build of torch has no CUDA" if wanted == "cuda" and not torch.version.cuda else "torch finds none"
        present = " or ".join(name for name, is_here in here.items() if is_here)
        raise DeviceError(f"device {wanted} is not here ({why}); use --device {present}")
    return wanted, "as asked"


def choose_precision(facts: MachineFacts, wanted: str) -> MachineFacts:
    """`facts` with the number format of matrix products and its measured peak."""
    if wanted != "auto":
        return replace(facts, precision=wanted, peak_flops=measured_peak(facts.device, wanted))
    single, half = measured_peak(facts.device, "float32"), measured_peak(facts.device, "bfloat16")
    ratio = f"bfloat16 is {half / single:.1f} times as fast as float32 here"
    if half >= BF16_PAYS * single:
        return replace(facts, precision="bfloat16", peak_flops=half, precision_reason=ratio)
    return replace(facts, precision="float32", peak_flops=single, precision_reason=ratio)


def measured_peak(device: str, precision: str) -> float:
    """FLOP/s of the best of several large square matrix products."""
    size = PEAK_SIZES[device]
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = torch.ones(size, size, dtype=dtype, device=device), torch.ones(size, size, dtype=dtype, device=device)
    seconds = []
    for _ in range(PEAK_REPEATS):
        start = time.perf_counter()
        product = a @ b
        product[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def device_memory(device: str) -> int:
    """Bytes that training may take: the GPU's, or the machine's (the container's limit where it is lower)."""
    if device == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return usable_memory()


def cpu_name() -> str:
    """The processor's name as the machine gives it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
