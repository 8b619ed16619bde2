"""One training step as it runs: in the number formats, on the device and through the compiler that a run uses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from chainrule.config import MachineConfig, load_toml, resolve
from chainrule.device import look_at_machine
from chainrule.lens.opening.user_code import Say, quiet
from chainrule.lens.prove import Step, capture
from chainrule.lens.tape import Subject
from chainrule.model import GPT
from chainrule.run import model_source, run_of, sealed_path


def captured(what: str, subject: Subject, *, say: Say = quiet) -> Step:
    """The step that `what` would make on this machine, with the settings of its run, or as a new run chooses them."""
    machine = _machine(Path(model_source(what)))
    facts = look_at_machine(machine)
    module = subject.target if isinstance(subject.target, nn.Module) else getattr(subject.target, "__self__", None)
    compiled = machine.compile == "on"
    if isinstance(module, nn.Module):
        module.to(facts.device)
        module.train()
    if isinstance(module, nn.Module) and (compiled or facts.device != "cpu") and _drops(module):
        say("dropout is set to 0: the masks of a compiled model or a GPU cannot be drawn again")
        module.eval()
    moved = _on(subject, facts.device)
    say(f"one step in {facts.precision} on {facts.device}{', compiled' if compiled else ''}")
    with torch.autocast(facts.device, dtype=torch.bfloat16, enabled=facts.precision == "bfloat16"):
        return capture(moved, run=_compiled(moved) if compiled else None)


def ready_to_train(subject: Subject, *, ours: bool) -> None:
    """A GPT as its training runs it: in training mode where it is `ours`, and without its loop over portions compiled.

    A model of the user's own stays in the mode in which it was handed over.
    """
    owner = subject.target if isinstance(subject.target, nn.Module) else getattr(subject.target, "__self__", None)
    if isinstance(owner, GPT):
        owner.keep_portions_uncompiled()
        if ours:
            owner.train()


def _machine(source: Path) -> MachineConfig:
    """The machine settings of the run that a folder belongs to; the defaults where there is none."""
    run = run_of(source)
    return MachineConfig() if run is None else resolve([load_toml(sealed_path(run, run.config))]).config.machine


def _drops(module: nn.Module) -> bool:
    drops = [getattr(one, name, 0.0) for one in module.modules() for name in ("p", "drop_rate", "dropout")]
    return any(isinstance(rate, float) and rate > 0 for rate in drops)


def _on(subject: Subject, device: str) -> Subject:
    inputs, named = tree_map_only(Tensor, lambda one: one.to(device), (subject.inputs, dict(subject.named)))
    return replace(subject, inputs=inputs, named=named)


def _compiled(subject: Subject) -> Callable[[], Tensor]:
    """Forward and backward through torch.compile."""
    if isinstance(subject.target, GPT):
        subject.target.keep_portions_uncompiled()
    fast = replace(subject, target=torch.compile(subject.target))

    def run() -> Tensor:
        loss = fast.run()
        loss.backward()
        return loss

    return run
