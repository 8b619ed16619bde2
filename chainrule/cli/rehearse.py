"""`chainrule rehearse`: a layout tried here with a tiny model, before many machines are asked for."""

import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from chainrule.base import ConfigError
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, print_table, put, say
from chainrule.config import Layer, load_toml, resolve
from chainrule.config import preset as preset_layer
from chainrule.plan import Layout, check_trained, layout_of, parse_layout

if TYPE_CHECKING:
    from chainrule.rehearse import Rehearsed

# Of the table of devices most machines have eight.
PER_MACHINE = 8


def rehearse(
    config: Path | None = None,
    *,
    ranks: int | None = None,
    preset: str | None = None,
    keep: Annotated[Path | None, Parameter(show_default=False)] = None,
    as_json: AsJson = False,
    flags: Flags = None,
) -> int:
    """Try a layout on the processes of this machine, with a tiny model, before it is paid for.

    The same command as later, on gloo: losses against one process, a checkpoint laid out anew, a rank killed, a job
    ended and resumed. Exit code 1 where something comes out otherwise. Examples:

    - `chainrule rehearse my_config.toml --ranks 8`
    - `chainrule rehearse --preset gpt2-1558m --machine.parallel fsdp=4,tp=2`

    Parameters
    ----------
    config
        A TOML file of settings: those of the run to be.
    ranks
        How many processes. Default: those of machine.parallel.
    preset
        A named configuration, in the place of a file or below it.
    keep
        A new folder for the rehearsal's runs. Default: nothing is kept.
    """
    layers: list[Layer] = [preset_layer(preset)] if preset is not None else []
    if config is not None:
        layers.append(load_toml(config))
    layers.append(flag_layer(flags))
    settings = resolve(layers).config
    layout = _layout(settings.machine.parallel, ranks)
    check_trained(settings, layout)
    if keep is not None and keep.exists():
        raise ConfigError(f"--keep {keep} is there already; give a new folder")
    from chainrule.rehearse import rehearse as rehearsed

    with tempfile.TemporaryDirectory() as place:
        found = rehearsed(settings, layout, keep or Path(place) / "rehearsal", say)
    command = _real(config, preset, layout)
    if as_json:
        print_json(_row(found, command))
    else:
        _print(found, command)
    return 0 if found.good else 1


def _layout(words: str, ranks: int | None) -> Layout:
    if ranks is None:
        if not words:
            raise ConfigError("how many ranks? Give --ranks 8, or --machine.parallel fsdp=4,tp=2")
        return layout_of(words, parse_layout(words).ranks)
    return layout_of(words, ranks)


def _real(config: Path | None, preset: str | None, layout: Layout) -> str:
    """The command of the real run, for each machine."""
    machines = max(1, -(-layout.ranks // PER_MACHINE))
    several = f"--nnodes {machines} --rdzv-backend c10d --rdzv-endpoint HOST:29500 " if machines > 1 else ""
    each = min(layout.ranks, PER_MACHINE)
    given = f" --preset {preset}" if preset else ""
    given += f" --config {shlex.quote(str(config))}" if config else ""
    return (
        f"TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 torchrun {several}--nproc-per-node {each} --max-restarts 3 -m chainrule "
        f"pretrain TEXT --name NAME{given} --machine.parallel {layout.text()}"
    )


def _row(found: "Rehearsed", command: str) -> dict[str, Any]:
    rows = [vars(row) for row in found.rows]
    return {
        "layout": found.layout.text(),
        "ranks": found.layout.ranks,
        "tried": rows,
        "good": found.good,
        "command": command,
    }


def _print(found: "Rehearsed", command: str) -> None:
    table = [(row.what, row.found, row.bar, "yes" if row.good else "NO") for row in found.rows]
    put(f"{found.layout.text()} on {found.layout.ranks} processes of this machine, a tiny model over gloo")
    print_table("", ("what", "found", "bar", "good"), table)
    put("\nNothing here ran on GPUs or between machines. The real thing, on each machine:")
    put(f"  {command}")
