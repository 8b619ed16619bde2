"""`chainrule plan`: what a run will need and take, before anything is trained."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from chainrule.base import (
    ConfigError,
    bytes_text,
    count_text,
    duration_text,
    parse_count,
)
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.options import AsJson, Minutes, device_setting
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.cli.plan_at_scale import plan_at_scale, refuse_without_machines
from chainrule.plan import (
    ForeseenRun,
    described_machine,
    flops_per_token,
    foresee,
    given_layers,
    parameter_rows,
    parameters,
    run_tokens,
    tokens_per_second,
    training_seconds,
)


def plan(
    source: str | None = None,
    *,
    preset: str | None = None,
    minutes: Annotated[Minutes, Parameter(name=("--minutes", "--deadline"))] = None,
    text: Annotated[str | None, Parameter(name="--text-bytes")] = None,
    device: str = "cpu",
    peak: str | None = None,
    measure: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    memory: Annotated[str | None, Parameter(name=("--memory", "--fit"))] = None,
    machines: str | None = None,
    devices: Path | None = None,
    days: float | None = None,
    tokens: str | None = None,
    loss: float | None = None,
    parallel: str | None = None,
    simulate: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    micro_batch: int = 1,
    precision: Literal["float32", "bfloat16"] = "float32",
    as_json: AsJson = False,
    flags: Flags = None,
) -> int:
    """Print parameters, operations, memory and time of a run, without training.

    For example:

    - `chainrule plan --minutes 5 --measure`
    - `chainrule plan gpt2-124m --device cuda --peak 400T --memory 80G`
    - `chainrule plan --fit 8GB --deadline 3h`
    - `chainrule plan --machines 8xH100 --days 3`
    - `chainrule plan --machines 64xA100 --loss 2.4 --devices prices.toml`
    - `chainrule plan --machines 16384xH100 --tokens 8T --parallel fsdp=256,tp=8,pp=8 --simulate`

    Parameters
    ----------
    source
        A run folder, a configuration file, or a preset's name; without one, the automatic choice for the time.
    preset
        Start from a named configuration.
    minutes
        The time that the run may take, in minutes or as 90s, 1h30. Default: 15.
    text
        How much text there is, such as 10M.
    device
        cpu, cuda or mps.
    peak
        Operations a second of the machine's best matrix product, such as 2.3T; assumed when not given.
    measure
        Look at this machine and measure its peak, as a run does.
    memory
        Memory of the device that may be filled, such as 8G or 8GB (of 1000³) or 8GiB; by default this machine's.
    machines
        Devices by data sheet, such as 8xH100: model, tokens, batch, rate, layout, memory, time and loss of a run there.
    devices
        A TOML file with prices an hour, and devices of one's own: [devices.H100] and price = 2.5 below it.
    days
        The time of a run on machines; --deadline 36h says the same.
    tokens
        Tokens that it learns from, such as 300B; the model's size follows, where none is given.
    loss
        The loss that it should come to, in nats a token: what that needs.
    parallel
        The layout, such as fsdp=8,tp=2,pp=2; without it the quickest that fits.
    simulate
        Shard one rank of each kind by torch, over a group that sends nothing: what it holds, and what it sends.
    micro_batch
        Windows of one forward pass.
    precision
        Number format of matrix products.
    """
    if micro_batch < 1:
        raise ConfigError(f"micro_batch={micro_batch} trains nothing; use at least 1")
    if machines is not None:
        given = [*given_layers(source, preset), *([layer] if (layer := flag_layer(flags)).values else [])]
        return plan_at_scale(
            given,
            machines=machines,
            devices=devices,
            minutes=_time(minutes, days),
            tokens=tokens,
            loss=loss,
            text=text,
            fit=memory,
            parallel=parallel,
            simulated=simulate,
            as_json=as_json,
        )
    refuse_without_machines(
        devices=devices, days=days, tokens=tokens, loss=loss, parallel=parallel, simulate=simulate or None
    )
    machine, found = described_machine(device, peak, memory), None
    if measure:
        from chainrule.device import look_at_machine, machine_table

        found = look_at_machine(device_setting(device))
        machine = found.planned
        if not as_json:
            print_table("This machine", ("", "what", "is"), machine_table(found), left=3)
            for doubt in found.warnings:
                say(f"warning: {doubt}")
            put()
    run = foresee(
        [*given_layers(source, preset), flag_layer(flags)],
        machine,
        minutes=minutes,
        text_bytes=parse_count(text) if text else None,
        micro_batch=micro_batch,
        precision=precision,
    )
    if as_json:
        print_json(run.figures() | ({"found": found.row()} if found else {}))
    else:
        _print(run, assumed=peak is None and not measure)
    if run.misfit:
        say(f"chainrule: {run.misfit}")
    return 2 if run.misfit else 0


def _time(minutes: float | None, days: float | None) -> float | None:
    """Minutes, however they were given."""
    if minutes is not None and days is not None:
        raise ConfigError("--days and --minutes (or --deadline) both say how long; give one of them")
    return minutes if days is None else 24 * 60 * days


def _print(run: ForeseenRun, *, assumed: bool) -> None:
    config, machine = run.config, run.machine
    rows = [(name, f"{value:,}", f"{share:.1%}") for name, value, share in parameter_rows(run.resolved)]
    print_table("Parameters", ("component", "count", "share"), rows)
    memory = [(name, bytes_text(value)) for name, value in run.memory.components().items()]
    print_table(
        "\nMemory at the peak", ("what", "size"), [*memory, ("total, not all at once", bytes_text(run.memory.total))]
    )
    speed = tokens_per_second(config.model, machine)
    tokens, n_parameters = run_tokens(config), parameters(config.model).total
    batch = config.batch_windows * config.model.context_length
    assumption = " (assumed; --peak gives the measured one)" if assumed else ""
    text = (
        f"\n{config.training.steps:,} steps of {batch:,} tokens = {count_text(tokens)} tokens, "
        f"{tokens / n_parameters:.1f} a parameter\n"
        f"{count_text(flops_per_token(config.model))} operations a token (forward and backward), about "
        f"{count_text(speed)} tokens/s: {duration_text(training_seconds(config, machine))} of training\n"
        f"{machine.device} at {machine.peak_flops / 1e9:,.0f} GFLOP/s{assumption}"
    )
    put(text)
