"""`chainrule quickstart`: a small GPT in five minutes, on a text that needs no download."""

from typing import Literal

from chainrule.cli.options import AsJson, Device, Minutes, RunsFolder
from chainrule.cli.output import say
from chainrule.cli.start import train_run
from chainrule.config import quickstart_layer
from chainrule.run import RUNS, new_run

Text = Literal["king-james", "python"]


def quickstart(
    *,
    text: Text | None = None,
    minutes: Minutes = 5.0,
    seed: int = 0,
    device: Device = None,
    name: str | None = None,
    runs_folder: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> int:
    """Train a small GPT in five minutes on a text that is at hand, and show it.

    Example: `chainrule quickstart`. Then: `chainrule generate runs/king-james-1 "And it came to pass"`

    Parameters
    ----------
    text
        king-james: the King James Bible, prose that reads well after minutes (the extra "quickstart" brings it).
        python: the sources of Python's standard library, which are on every machine, and harder to learn.
        Default: king-james where it is installed.
    minutes
        The time that everything together may take, in minutes or as 90s, 1h30.
    seed
        Another one gives other first weights, another order of the text and other samples.
    name
        The run's name in the runs folder.
    """
    chosen = text or _text_at_hand()
    layers = [quickstart_layer(chosen, seed=seed, device=device)]
    return train_run(layers, new_run(name, runs_folder, [chosen]), minutes=minutes, as_json=as_json)


def _text_at_hand() -> Text:
    from chainrule.data import king_james_is_here

    if king_james_is_here():
        return "king-james"
    say("king-james is not installed (pip install 'chainrule[quickstart]'), so the text is Python's standard library")
    return "python"
