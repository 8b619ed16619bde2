"""A model to write with, by what a person calls it."""

from pathlib import Path

from chainrule.checkpoint import OpenedModel, open_model
from chainrule.device import choose_device
from chainrule.run import RUNS, model_source


def opened(source: str, device: str = "auto", *, runs_folder: Path = RUNS) -> OpenedModel:
    """The model at `source` on the device: a run, a checkpoint, a Hugging Face folder or name, a run's bare name.

    Raises CheckpointError for what is none or is damaged, and DeviceError for a device that is not here.
    """
    chosen, _ = choose_device(device)
    return open_model(model_source(source, runs_folder), device=chosen)
