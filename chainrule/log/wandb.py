"""Weights & Biases, offline: its files lie in the runs' folder until somebody sends them with `wandb sync`."""

import os
from collections.abc import Mapping
from typing import Any, Literal

import wandb

from chainrule.log.tracker import logs_of
from chainrule.run import RunFolder


class Wandb:
    """An offline run; WANDB_MODE=online sends it while it goes on."""

    def __init__(self, run: RunFolder, settings: Mapping[str, Any]) -> None:
        folder = logs_of(run, "wandb")
        folder.mkdir(parents=True, exist_ok=True)
        project = run.path.absolute().parent.name or "runs"
        self._run = wandb.init(
            project=project,
            name=run.name,
            dir=str(folder),
            config=dict(settings),
            mode=_mode(),
            settings=wandb.Settings(silent=True, x_disable_stats=True, disable_git=True, disable_code=True),
        )

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """One row; several tellings of one step are one."""
        self._run.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """As plain text, which it escapes where it shows it."""
        self._run.log({name: text}, step=step)

    def close(self) -> None:
        """Its own process writes what is waiting."""
        self._run.finish()


def _mode() -> Literal["online", "offline"]:
    """Offline, unless wandb's own variable says otherwise."""
    return "online" if os.environ.get("WANDB_MODE") == "online" else "offline"
