"""The ways in which one step can run: as written, through the compiler, in bfloat16, on another device."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from chainrule.base import LensError
from chainrule.lens.prove.steps import Step, capture, forward_and_backward
from chainrule.lens.tape import Subject, modules_of

# What a compiler, a device or the user's own code may raise; anything else is a fault of ours.
FAILURES = (
    RuntimeError,
    TypeError,
    ValueError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    LookupError,
    ImportError,
    OSError,
)
# What was compiled of the same code before counts towards torch's limit, beyond which it goes on uncompiled in silence.
LIMITS = {"recompile_limit": 1000, "accumulated_recompile_limit": 10_000, "fail_on_recompile_limit_hit": True}
NO_COMPILER = "no C++ compiler is here, which torch.compile needs: install g++ or clang++ (on Windows MSVC's cl)"


class NotHereError(Exception):
    """Raised inside the check: this machine has not what this way needs."""


@dataclass(frozen=True)
class Way:
    """How a step runs. `other_device` is the accelerator for a model on the CPU, and the CPU for one that is not."""

    words: str
    compiled: bool = False
    bfloat16: bool = False
    other_device: bool = False
    backend: str = "inductor"

    def step(self, subject: Subject) -> Step:
        """One step of the subject in this way; weights, gradients, devices and random numbers are as before after it.

        Raises NotHereError when the machine has no such device or no C++ compiler, LensError as `capture` does.
        """
        with ExitStack() as around:
            home = device_of(subject)
            device = other_than(home) if self.other_device else home
            moved = around.enter_context(_on(subject, device)) if self.other_device else subject
            if self.bfloat16:
                around.enter_context(torch.autocast(torch.device(device).type, dtype=torch.bfloat16))
            plain = replace(moved, target=getattr(moved.target, "_orig_mod", moved.target))
            return capture(plain, run=_compiled(moved, self.backend) if self.compiled else None)


WAYS = {
    "eager": Way("eager, as it is written"),
    "compiled": Way("through torch.compile", compiled=True),
    "bfloat16": Way("under autocast to bfloat16", bfloat16=True),
    "compiled-bfloat16": Way("through torch.compile, under autocast to bfloat16", compiled=True, bfloat16=True),
    "device": Way("on another device", other_device=True),
}
USUAL = ("eager", "compiled", "bfloat16", "device")


def device_of(subject: Subject) -> str:
    """Where the model's weights are; where there are none, its inputs."""
    tensors: list[Tensor] = [one for module in modules_of(subject) for one in module.parameters()]
    tensors += [one for one in (*subject.inputs, *subject.named.values()) if isinstance(one, Tensor)]
    return str(tensors[0].device) if tensors else "cpu"


def other_than(device: str) -> str:
    """The accelerator beside the CPU, or the CPU beside an accelerator; raises NotHereError where there is none."""
    if device != "cpu":
        return "cpu"
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if found is None:
        raise NotHereError("there is no other device here than the CPU")
    return found.type


@contextmanager
def _on(subject: Subject, device: str) -> Iterator[Subject]:
    """Inside, the subject's modules are on that device, and the subject given has its inputs there too."""
    modules = modules_of(subject)
    tensors = [one for module in modules for one in (*module.parameters(), *module.buffers())]
    before = [(one, one.data, one.grad) for one in {id(one): one for one in tensors}.values()]
    try:
        for one, data, _ in before:
            one.grad, one.data = None, data.to(device)
        inputs, named = tree_map_only(Tensor, lambda one: one.to(device), (subject.inputs, dict(subject.named)))
        yield replace(subject, inputs=inputs, named=named)
    finally:
        for one, data, gradient in before:
            one.grad, one.data = None, data
            one.grad = gradient


def _compiled(subject: Subject, backend: str) -> Callable[[], Tensor]:
    """Forward and backward through torch.compile; raises LensError when nothing of it was compiled.

    A backend of its own makes torch compile afresh, whatever it has compiled of this model before. The compiler draws
    the same dropout masks as the plain run, and gives up with an error where it would go on uncompiled in silence.
    """

    def run() -> Tensor:
        graphs = 0
        inner = torch._dynamo.lookup_backend(backend)
        options = {"config_patches": {"fallback_random": True}} if backend == "inductor" else {}

        def counting(graph: Any, inputs: Any) -> Any:
            nonlocal graphs
            graphs += 1
            return inner(graph, inputs, **options)

        fast = subject
        if not isinstance(subject.target, nn.Module) or not hasattr(subject.target, "_orig_mod"):
            fast = replace(subject, target=torch.compile(subject.target, backend=counting))
        with torch._dynamo.config.patch(LIMITS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's, of its own inside
            loss = forward_and_backward(fast)
        if fast is not subject and not graphs:
            raise LensError(
                "torch.compile compiled nothing of it, so this would be the eager run once more; where it was compiled "
                "many times in this process before, torch.compiler.reset() lets it begin anew"
            )
        return loss

    return run
