"""Options that several verbs share, and the run that a person means."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token

from chainrule.config import Layer, MachineConfig, resolve
from chainrule.run import RunFolder, open_run

RUNS = Path("runs")

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


RunsFolder = Annotated[Path, Parameter(help="The folder that holds the runs.", converter=_named_folder)]
Device = Annotated[str | None, Parameter(help="auto, cpu, cuda or mps. auto takes cuda, then mps, then cpu.")]


def find_run(name: str, folder: Path = RUNS) -> RunFolder:
    """The run at the path `name`, or of that name in `folder`; raises RunError with the nearest name."""
    below = folder / name
    if not Path(name).exists() and "/" not in name:
        return open_run(below)
    return open_run(Path(name))


def model_source(name: str) -> str:
    """`name`, or the run of that name in runs/ when nothing else is called so."""
    below = RUNS / name
    return str(below) if not Path(name).exists() and (below / "config.toml").is_file() else name


def device_setting(device: str | None) -> MachineConfig:
    """The machine settings with that device; raises ConfigError with the nearest for a mistyped one."""
    return resolve([Layer("--device", {"machine": {"device": device or "auto"}})]).config.machine
