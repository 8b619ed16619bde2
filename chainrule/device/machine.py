"""A look at the machine a run is on: which device, which number format, how many threads, and why."""

import platform
from dataclasses import replace

import torch

from chainrule.base import (
    ASLEEP,
    DeviceError,
    ProcessorClass,
    available_memory,
    found_cores,
    processor_class,
    processor_name,
    speed_text,
    spins,
    usable_memory,
)
from chainrule.config import MachineConfig
from chainrule.device.facts import MachineFacts
from chainrule.device.peak import LOSES, Peaks, is_low, measured_peaks, planned_flops
from chainrule.device.precision import use_tensor_float
from chainrule.device.threads import thread_choices, use_threads
from chainrule.kernels import Kernels, use_kernels

# bfloat16 halves memory traffic, but on a processor without its instructions it is emulated, and many times slower.
BF16_PAYS = 1.3
# A slow core of a hybrid processor does about half of what a quick one does.
SLOW_CORE = 0.5


def look_at_machine(settings: MachineConfig) -> MachineFacts:
    """Chooses device, threads, kernels and precision as `settings` allow, measures the peak; sets threads and kernels.

    Takes about a third of a second on every machine. Raises DeviceError when the device that was asked for is not
    there, or more threads are asked for than the machine can make use of or the system grants.
    """
    device, reason = choose_device(settings.device)
    cores = found_cores()
    choices = thread_choices(settings.threads, cores)
    if device != "cpu":
        choices = choices[-1:]
    use_threads(choices[-1])
    kernels = (
        use_kernels(settings.kernels) if device == "cpu" else Kernels("torch", f"ours are for CPUs, this is {device}")
    )
    installed, available = device_memory(device)
    facts = MachineFacts(
        cpu=processor_name(),
        cores=cores.usable,
        threads=choices[-1],
        memory_bytes=available,
        device=device,
        device_name=torch.cuda.get_device_name() if device == "cuda" else processor_name(),
        reason=reason,
        precision="float32",
        precision_reason="as set",
        kernels=kernels.name,
        kernels_reason=kernels.reason,
        peak_flops=0.0,
        torch=torch.__version__,
        python=platform.python_version(),
        processor_class=processor_class().name,
        logical_cores=cores.logical,
        fast_cores=cores.fast,
        quota=cores.quota,
        installed_bytes=installed,
        thread_choices=choices,
        spins=spins(),
    )
    facts = choose_precision(facts, settings.precision)
    use_tensor_float(device, facts.precision)
    return facts


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
    """`facts` with the number format of matrix products, what was measured, and the peak to plan with."""
    peaks = measured_peaks(facts.device, ("float32", "bfloat16") if wanted == "auto" else (wanted,))
    precision, why = (wanted, "as set") if wanted != "auto" else better_format(peaks, facts.kind)
    one = planned_flops(peaks, precision, facts.kind) if facts.device == "cpu" else peaks.flops[precision]
    return replace(
        facts,
        precision=precision,
        precision_reason=why,
        peak_flops=one * cores_worth(facts, facts.threads),
        measured={name: round(flops) for name, flops in peaks.flops.items()},
        measured_seconds=round(peaks.seconds, 3),
        core_share=round(peaks.core_share, 3),
        warnings=(*_doubts(facts, peaks, precision),),
    )


def on_threads(facts: MachineFacts, threads: int) -> MachineFacts:
    """`facts` with the threads that were taken in the end, and the peak that they can reach."""
    share = cores_worth(facts, threads) / cores_worth(facts, facts.threads)
    return replace(facts, threads=threads, peak_flops=facts.peak_flops * share)


def cores_worth(facts: MachineFacts, threads: int) -> float:
    """Quick cores that this many threads are worth; 1 for a GPU."""
    if facts.device != "cpu":
        return 1.0
    cores = max(1, min(threads, facts.cores))
    quick = min(cores, facts.fast_cores or cores)
    return quick + SLOW_CORE * (cores - quick)


def better_format(peaks: Peaks, kind: ProcessorClass) -> tuple[str, str]:
    """The number format that pays, and how the two compare.

    Beside another program the limit can end the climb of one format before that of the other (at 4 % of a core bfloat16
    got no further than size 128 and seemed 1.2 times as fast, not 2.1): then the class decides, unless a format lost.
    """
    ratio = peaks.flops["bfloat16"] / peaks.flops["float32"]
    reason = f"bfloat16 is {speed_text(ratio, 'float32')} here"
    if peaks.busy and kind.bfloat16 and LOSES <= ratio < BF16_PAYS:
        return "bfloat16", f"{kind.name} multiplies it natively (beside another program {reason})"
    return ("bfloat16" if ratio >= BF16_PAYS else "float32"), reason


def device_memory(device: str) -> tuple[int, int]:
    """Bytes that are installed and bytes that can be had now: of the GPU, or of the machine and its container."""
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        return int(total), int(free)
    return usable_memory(), available_memory()


def _doubts(facts: MachineFacts, peaks: Peaks, precision: str) -> list[str]:
    """What should be known before a plan is believed."""
    said = []
    if facts.spins.endswith(f"={ASLEEP}"):
        said.append(
            f"threads that wait sleep at once ({facts.spins}): many times as fast beside another program, and up to a "
            "quarter slower on a machine that is quiet"
        )
    if peaks.busy:
        late = (
            ""
            if facts.spins != "the default"
            else (
                "; torch was loaded before chainrule, so that its threads spin long when they wait: import chainrule "
                "first, or set GOMP_SPINCOUNT=10000"
            )
        )
        said.append(
            f"another program is using the processor: this one got {peaks.core_share:.0%} of a core's time while it "
            f"was measured; the plan counts on the whole of it{late}"
        )
    if facts.device == "cpu" and is_low(peaks, precision, facts.kind):
        least = facts.kind.least_flops(precision) / 1e9
        planned = "planned with the latter" if peaks.busy else "slowed down, shared or emulated; planned with as it is"
        said.append(
            f"a core made {peaks.flops[precision] / 1e9:.1f} GFLOP/s in {precision}, and one of its class "
            f"({facts.processor_class}) makes {least:.0f} at the least: {planned}"
        )
    return said
