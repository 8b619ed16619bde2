"""Which trackers there are, and how one is opened for a run."""

from importlib import import_module
from importlib.util import find_spec

from chainrule.base import ConfigError, MissingPackageError, nearest
from chainrule.config import load_toml
from chainrule.log.tracker import Tracker, settings_of
from chainrule.run import RunFolder, sealed_path

TRACKERS = {"tensorboard": "TensorBoard", "trackio": "Trackio", "wandb": "Wandb"}
"""The file in this room, which is also the package and the extra, and the class in it."""


def check_tracker(name: str) -> None:
    """Raises ConfigError for a word that is no tracker, MissingPackageError where its package is not installed."""
    if name not in TRACKERS:
        known = ", ".join(TRACKERS)
        raise ConfigError(f"{name!r} is no tracker; use one of {known}.{nearest(name, TRACKERS)}")
    if find_spec(name) is None:
        raise MissingPackageError(f"logging to {name}", name, name)


def open_tracker(name: str, run: RunFolder) -> Tracker:
    """The tracker, begun for this run with its settings; raises what it raises."""
    check_tracker(name)
    made: Tracker = getattr(import_module(f"chainrule.log.{name}"), TRACKERS[name])(run, settings_of(_values(run)))
    return made


def _values(run: RunFolder) -> dict[str, object]:
    return dict(load_toml(sealed_path(run, run.config)).values) if run.config.is_file() else {}
