"""`chainrule plan`: what a run will need and take, before anything is trained."""

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
    minutes: Minutes = None,
    text: Annotated[str | None, Parameter(name="--text-bytes")] = None,
    device: str = "cpu",
    peak: str | None = None,
    measure: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    memory: str | None = None,
    micro_batch: int = 1,
    precision: Literal["float32", "bfloat16"] = "float32",
    as_json: AsJson = False,
    flags: Flags = None,
) -> int:
    """Print parameters, operations, memory and time of a run, without training.

    For example:

    - `chainrule plan --minutes 5 --measure`
    - `chainrule plan gpt2-124m --device cuda --peak 400T --memory 80G`

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
        Memory of the device in bytes, such as 8G (of 1000³); by default this machine's.
    micro_batch
        Windows of one forward pass.
    precision
        Number format of matrix products.
    """
    if micro_batch < 1:
        raise ConfigError(f"micro_batch={micro_batch} trains nothing; use at least 1")
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
