"""`chainrule quickstart`: a small GPT on Python's own library, in five minutes."""

from chainrule.cli.options import RUNS, AsJson, Device, RunsFolder
from chainrule.cli.start import new_run, train_run
from chainrule.config import Layer

TEXT = "python"
# They begin lines of their own and end without a space, as the words of the vocabulary do.
PROMPTS = ("\n\ndef", "\n\nclass", "\n\nimport", '\n\ndef read_lines(path):\n    """')


def quickstart(
    *,
    minutes: float = 5.0,
    device: Device = None,
    name: str | None = None,
    runs_folder: RunsFolder = RUNS,
    as_json: AsJson = False,
) -> int:
    """Train a small GPT on the source code of Python's standard library, which is on every machine, and show it.

    Example: `chainrule quickstart`. Then: `chainrule generate runs/python-1 "def read_lines(path):"`

    Parameters
    ----------
    minutes
        The time that everything together may take.
    name
        The run's name in the runs folder.
    """
    values: dict[str, dict[str, object]] = {"text": {"paths": [TEXT]}, "training": {"prompts": list(PROMPTS)}}
    if device is not None:
        values["machine"] = {"device": device}
    layers = [Layer("quickstart", values)]
    return train_run(layers, new_run(name, runs_folder, [TEXT]), minutes=minutes, as_json=as_json)
