"""trackio: a local database, which `trackio show` reads."""

from collections.abc import Mapping
from typing import Any

import trackio

from chainrule.run import RunFolder


class Trackio:
    """A run of the project that is called after the runs' folder; nothing is sent anywhere."""

    def __init__(self, run: RunFolder, settings: Mapping[str, Any]) -> None:
        project = run.path.absolute().parent.name or "runs"
        # Its own watch over processor and GPU would take time from the training; the run's speed is told anyway.
        trackio.init(
            project=project,
            name=run.name,
            config=dict(settings),
            embed=False,
            resume="allow",
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """One row."""
        trackio.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        """As a text of that row."""
        trackio.log({name: trackio.Markdown(text)}, step=step)

    def close(self) -> None:
        """Waits for its own thread."""
        trackio.finish()
