"""A run as it would be: settings, machine, memory, time, and whether it fits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base import DeviceError
from chainrule.config import Config, Layer, Resolved, resolve
from chainrule.plan.choice import choose, with_automatic
from chainrule.plan.cost import Machine, flops_per_token, run_tokens, tokens_per_second, training_seconds
from chainrule.plan.count import parameters
from chainrule.plan.memory import Memory, check_memory, memory_bytes


@dataclass(frozen=True)
class ForeseenRun:
    """What a run with these settings needs and takes on the machine; `misfit` says why it does not fit, or None."""

    resolved: Resolved
    machine: Machine
    memory: Memory
    misfit: str | None

    @property
    def config(self) -> Config:
        """All settings."""
        return self.resolved.config

    def figures(self) -> dict[str, Any]:
        """By name: parameters, operations, memory in bytes, steps, tokens, seconds, machine and model."""
        config, count = self.config, parameters(self.config.model)
        return {
            "parameters": {**count.components(), "total": count.total},
            "flops_per_token": flops_per_token(config.model),
            "memory_bytes": {**self.memory.components(), "total": self.memory.total},
            "steps": config.training.steps,
            "batch_tokens": config.batch_windows * config.model.context_length,
            "tokens": run_tokens(config),
            "tokens_per_second": tokens_per_second(config.model, self.machine),
            "seconds": training_seconds(config, self.machine),
            "machine": vars(self.machine),
            "model": config.model.model_dump(mode="json"),
            "fits": self.misfit is None,
        }


def foresee(
    layers: Sequence[Layer],
    machine: Machine,
    *,
    minutes: float | None = None,
    text_bytes: int | None = None,
    micro_batch: int = 1,
    precision: str = "float32",
) -> ForeseenRun:
    """The run that these settings become on the machine in so many minutes, with what is automatic chosen.

    `micro_batch` windows go through the model at once, in `precision`. Raises ConfigError for settings that do not go
    together.
    """
    automatic = choose(machine, minutes=minutes, text_bytes=text_bytes, layers=layers)
    resolved = resolve(with_automatic(layers, automatic))
    need = memory_bytes(resolved.config, micro_batch=micro_batch, precision=precision, device=machine.device)
    return ForeseenRun(resolved, machine, need, _misfit(resolved.config, machine, precision))


def _misfit(config: Config, machine: Machine, precision: str) -> str | None:
    """Why the model does not fit, or None."""
    try:
        check_memory(config, machine, precision)
    except DeviceError as refusal:
        return str(refusal)
    return None
