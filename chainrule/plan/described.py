"""A machine in words, and what a run would need and take on it."""

from typing import Any

from chainrule.base import DeviceError, parse_count, usable_cores, usable_memory
from chainrule.config import Config, Resolved
from chainrule.plan.cost import Machine, flops_per_token, run_tokens, tokens_per_second, training_seconds
from chainrule.plan.count import parameters
from chainrule.plan.memory import Memory, check_memory

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
        memory_bytes=parse_count(memory) if memory else own_memory,
        peak_flops=float(parse_count(peak)) if peak else peak_flops,
        device=device,
    )


def misfit(config: Config, machine: Machine, precision: str) -> str | None:
    """Why the model does not fit, or None."""
    try:
        check_memory(config, machine, precision)
    except DeviceError as refusal:
        return str(refusal)
    return None


def figures(config: Config, machine: Machine, need: Memory) -> dict[str, Any]:
    """All that `chainrule plan --json` says of a run."""
    count = parameters(config.model)
    return {
        "parameters": {**count.components(), "total": count.total},
        "flops_per_token": flops_per_token(config.model),
        "memory_bytes": {**need.components(), "total": need.total},
        "steps": config.training.steps,
        "batch_tokens": config.batch_windows * config.model.context_length,
        "tokens": run_tokens(config),
        "tokens_per_second": tokens_per_second(config.model, machine),
        "seconds": training_seconds(config, machine),
        "machine": vars(machine),
        "model": config.model.model_dump(mode="json"),
    }


def parameter_rows(resolved: Resolved) -> list[tuple[str, int, float]]:
    """Component, count and share of the whole, the total last."""
    count = parameters(resolved.config.model)
    parts = [*count.components().items(), ("total", count.total)]
    return [(name.replace("_", "-"), value, value / count.total) for name, value in parts]
