"""`chainrule plan --machines`: a run on many devices, as figures or as a page of the terminal."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainrule.base import ConfigError, bytes_text, count_text, duration_text, parse_bytes, parse_count
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.config import Layer
from chainrule.plan import (
    DEVICES,
    LAW_FROM,
    LAW_TO,
    ScalePlan,
    Wish,
    parameters,
    parse_layout,
    parse_machines,
    plan_machines,
    read_devices,
)

if TYPE_CHECKING:
    from chainrule.simulate import Simulated

MINUTE = 60.0
# What a token of a vocabulary of 32,768 stands for in English text.
BYTES_PER_TOKEN = 4.5


def plan_at_scale(
    layers: list[Layer],
    *,
    machines: str,
    devices: Path | None,
    minutes: float | None,
    tokens: str | None,
    loss: float | None,
    text: str | None,
    fit: str | None,
    parallel: str | None,
    simulated: bool,
    as_json: bool,
) -> int:
    """Prints the plan; 2 where it cannot be met, as any plan that does not fit."""
    known = DEVICES if devices is None else read_devices(devices)
    wish = Wish(
        parse_machines(machines, known),
        seconds=None if minutes is None else MINUTE * minutes,
        tokens=None if tokens is None else float(parse_count(tokens)),
        loss=loss,
        unique=None if text is None else parse_count(text) / BYTES_PER_TOKEN,
        memory_bytes=None if fit is None else float(parse_bytes(fit)),
        layout=None if parallel is None else parse_layout(parallel),
    )
    found = plan_machines(wish, layers)
    seen = _simulated(found) if simulated else None
    if as_json:
        print_json(found.figures() | ({"simulated": _row(seen)} if seen else {}))
    else:
        _print(found)
        if seen:
            _print_simulated(seen)
    if found.unmet:
        say(f"chainrule: {found.unmet}")
    return 2 if found.unmet else 0


def _simulated(found: ScalePlan) -> "Simulated | None":
    """What one rank of the layout holds and sends; None where there is no layout."""
    if found.placed is None:
        return None
    from chainrule.simulate import simulate

    say(f"simulating one rank of each kind of {found.placed.layout.ranks:,} …")
    return simulate(
        found.config, found.placed.layout, found.placed.batch_windows, found.wish.machines.device.per_machine
    )


def _row(seen: "Simulated") -> dict[str, Any]:
    sent = [vars(one) for one in seen.sent]
    memory = {**seen.memory, "total": seen.total}
    return {"memory_bytes": memory, "stage": seen.stage, "sent": sent, "seconds": seen.seconds}


def _print_simulated(seen: "Simulated") -> None:
    put(f"\nSimulated ({seen.stage} stage, {seen.seconds:.0f} s): memory of a rank at its peak")
    rows = [(name, bytes_text(value)) for name, value in seen.memory.items()]
    print_table("", ("what", "size"), [*rows, ("total", bytes_text(seen.total))])
    put("\nWhat a rank sends in one update")
    sends = [(one.what, bytes_text(one.n_bytes), f"{one.among}", one.link) for one in seen.sent]
    print_table("", ("what", "bytes", "among", "link"), sends or [("nothing", "", "", "")])


def refuse_without_machines(**given: object) -> None:
    """Raises ConfigError for what only a plan for machines understands."""
    extra = [f"--{name}" for name, value in given.items() if value is not None]
    if extra:
        raise ConfigError(
            f"{' and '.join(extra)}: such a plan is for machines that are named, as --machines 8xH100; for this one "
            "give --deadline and --fit, and `chainrule ladder` foretells the loss of small models on your text"
        )


def _print(found: ScalePlan) -> None:
    model, device = found.config.model, found.wish.machines.device
    count = parameters(model).total
    put(
        f"{count_text(count)} parameters ({model.n_layers} blocks of width {model.emb_dim}, {model.n_heads} heads, "
        f"windows of {model.context_length:,}) on {found.wish.machines.n} x {device.name}"
    )
    put(
        f"{count_text(found.tokens)} tokens, {found.tokens / count:.1f} a parameter{_epochs(found)}: "
        f"{found.steps:,} updates of {found.batch_tokens:,}; AdamW's rate {found.rates[0]:.2g} (Step Law)"
    )
    put(
        f"loss at the end: {found.loss.value:.3f} nats a token ({found.loss.low:.3f} to {found.loss.high:.3f}), by "
        f"{found.law.source}, for web text and a vocabulary of some 32,000"
    )
    if not LAW_FROM <= count <= LAW_TO:
        put(
            f"  that law is of models of {count_text(LAW_FROM)} to {count_text(LAW_TO)} parameters: beyond them it is "
            "a guess, and may be off by more"
        )
    if found.placed is not None:
        _print_placed(found)
    put()
    put(f"{device.name}: {device.source}. Nothing here was run: times are of others' machines and programs.")


def _epochs(found: ScalePlan) -> str:
    unique = found.wish.unique
    return "" if unique is None else f", the text read {found.tokens / unique:.3g} times"


def _print_placed(found: ScalePlan) -> None:
    placed, step = found.placed, found.step_seconds
    assert placed is not None and step is not None
    layout = placed.layout
    anew = ", all activations computed anew" if layout.recompute == "all" else ""
    put(f"layout: {layout.text()}, micro-batches of {layout.micro_batch}{anew}")
    memory = [(name, bytes_text(value)) for name, value in placed.memory.components().items() if value]
    put("\nMemory of the fullest device")
    print_table("", ("what", "size"), [*memory, ("total", bytes_text(placed.memory.total))])
    whole = placed.time.total
    parts = [(name.replace("_", " "), value) for name, value in vars(placed.time).items() if value]
    put("\nOne update, with kernels fused by hand")
    rows = [(name, f"{value:.3f} s", f"{value / whole:.0%}") for name, value in [*parts, ("total", whole)]]
    print_table("", ("what", "takes", "share"), rows)
    assert found.seconds is not None
    low, high = (found.seconds * end / step.value for end in (step.low, step.high))
    cost = ""
    if found.cost is not None:
        cost = f"; {_money(found.cost)} at {found.wish.machines.device.price:g} for a device's hour"
    put(
        f"\nwith torch's own kernels about {step.value:.2f} s an update: {duration_text(found.seconds)} in all "
        f"({duration_text(low)} to {duration_text(high)}){cost}"
    )


def _money(value: float) -> str:
    return f"{value:,.{0 if value >= 100 or not math.isfinite(value) else 2}f}"
