"""A machine in words, and the parts of a model."""

from chainrule.base import DeviceError, parse_bytes, parse_count, usable_cores, usable_memory
from chainrule.config import Resolved
from chainrule.plan.cost import Machine
from chainrule.plan.count import parameters

# What one core's best float32 matrix product reaches on common processors with AVX2; matrix units reach ten times that.
ASSUMED_FLOPS_PER_CORE = 6e10
# Half of the peak in the data sheet of an RTX 4070: a plan for a machine that is not named should not promise much.
ASSUMED_GPU_FLOPS, ASSUMED_GPU_MEMORY = 3e13, 12 * 2**30


def described_machine(device: str, peak: str | None, memory: str | None) -> Machine:
    """The machine that the options describe; what they leave out is this machine's, or assumed for a GPU."""
    family = device.partition(":")[0]
    if family not in ("cpu", "cuda", "mps"):
        raise DeviceError(f"unknown device {device!r}; use cpu, cuda or mps")
    cores = usable_cores()
    peak_flops = ASSUMED_FLOPS_PER_CORE * cores if family == "cpu" else ASSUMED_GPU_FLOPS
    own_memory = usable_memory() if family != "cuda" else ASSUMED_GPU_MEMORY
    return Machine(
        cores=cores,
        memory_bytes=parse_bytes(memory) if memory else own_memory,
        peak_flops=float(parse_count(peak)) if peak else peak_flops,
        device=device,
    )


def parameter_rows(resolved: Resolved) -> list[tuple[str, int, float]]:
    """Component, count and share of the whole, the total last."""
    count = parameters(resolved.config.model)
    parts = [*count.components().items(), ("total", count.total)]
    return [(name.replace("_", "-"), value, value / count.total) for name, value in parts]
