"""One training step as it runs: in the number formats, on the device and through the compiler that a run uses."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.cli.options import model_source

if TYPE_CHECKING:
    from chainrule.lens import Step, Subject


def captured(what: str, subject: "Subject") -> "Step":
    """The step that `what` would make on this machine, with the settings of its run, or as a new run chooses them."""
    import torch

    from chainrule.cli.output import say
    from chainrule.device import look_at_machine
    from chainrule.lens import capture

    machine = _machine(Path(model_source(what)))
    facts = look_at_machine(machine)
    module = (
        subject.target if isinstance(subject.target, torch.nn.Module) else getattr(subject.target, "__self__", None)
    )
    compiled = machine.compile == "on"
    if isinstance(module, torch.nn.Module):
        module.to(facts.device)
        module.train()
    if isinstance(module, torch.nn.Module) and (compiled or facts.device != "cpu") and _drops(module):
        say("dropout is set to 0: the masks of a compiled model or a GPU cannot be drawn again")
        module.eval()
    moved = _on(subject, facts.device)
    say(f"one step in {facts.precision} on {facts.device}{', compiled' if compiled else ''}")
    with torch.autocast(facts.device, dtype=torch.bfloat16, enabled=facts.precision == "bfloat16"):
        return capture(moved, run=_compiled(moved) if compiled else None)


def _machine(source: Path) -> Any:
    """The machine settings of the run that a folder belongs to; the defaults where there is none."""
    from chainrule.config import MachineConfig, load_toml, resolve

    for folder in (source, source.parent.parent):
        if (folder / "config.toml").is_file():
            return resolve([load_toml(folder / "config.toml")]).config.machine
    return MachineConfig()


def _drops(module: Any) -> bool:
    drops = [getattr(one, name, 0.0) for one in module.modules() for name in ("p", "drop_rate", "dropout")]
    return any(isinstance(rate, float) and rate > 0 for rate in drops)


def _on(subject: "Subject", device: str) -> "Subject":
    from dataclasses import replace

    import torch
    from torch.utils._pytree import tree_map_only

    inputs, named = tree_map_only(torch.Tensor, lambda one: one.to(device), (subject.inputs, dict(subject.named)))
    return replace(subject, inputs=inputs, named=named)


def _compiled(subject: "Subject") -> Any:
    """Forward and backward through torch.compile."""
    from dataclasses import replace

    import torch

    from chainrule.model import GPT

    if isinstance(subject.target, GPT):
        subject.target.keep_portions_uncompiled()
    fast = replace(subject, target=torch.compile(subject.target))

    def run() -> Any:
        loss = fast.run()
        loss.backward()
        return loss

    return run
