"""Options that several verbs share."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter, Token

from chainrule.base import ConfigError, parse_minutes

if TYPE_CHECKING:
    from chainrule.config import MachineConfig

AsJson = Annotated[
    bool,
    Parameter(
        name="--json",
        negative=(),
        show_default=False,
        help="One JSON object on standard output, and nothing else there.",
    ),
]


def _named_folder(type_: Any, tokens: Sequence[Token]) -> Path:
    """The folder that was typed; nothing at all (an unset variable of the shell) would be the folder here."""
    if not tokens[0].value:
        raise ValueError("is empty (an unset variable of the shell?); for the folder here write .")
    return Path(tokens[0].value)


def _minutes(type_: Any, tokens: Sequence[Token]) -> float:
    """Minutes, or a time with its unit."""
    try:
        return parse_minutes(tokens[0].value)
    except ConfigError as fault:
        raise ValueError(str(fault)) from None


Minutes = Annotated[float | None, Parameter(converter=_minutes)]
LogTo = Annotated[
    tuple[str, ...],
    Parameter(
        negative=(),
        show_default=False,
        help="Tell it to another tracker as well: tensorboard, trackio or wandb. May be given several times.",
    ),
]
RunsFolder = Annotated[Path, Parameter(help="The folder that holds the runs.", converter=_named_folder)]
Device = Annotated[str | None, Parameter(help="auto, cpu, cuda or mps. auto takes cuda, then mps, then cpu.")]


def device_setting(device: str | None) -> "MachineConfig":
    """The machine settings with that device; raises ConfigError with the nearest for a mistyped one."""
    # Here, as the verbs that know no configuration share this file: making its sections takes a tenth of a second.
    from chainrule.config import Layer, resolve

    return resolve([Layer("--device", {"machine": {"device": device or "auto"}})]).config.machine
