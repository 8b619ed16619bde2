"""The settings in which several runs differ, those of the first beside each other's."""

from collections.abc import Sequence
from typing import Any

from chainrule.base import ChainruleError, finite
from chainrule.config import Config, differences, load_toml, resolve
from chainrule.run import RunFolder, sealed_path


def settings_apart(runs: Sequence[RunFolder]) -> list[dict[str, Any]]:
    """For each setting that is not the same in all: `key`, and `values` in the order of the runs.

    The value of a run whose settings cannot be read is None.
    """
    configs = [_config(run) for run in runs]
    first = next((one for one in configs if one is not None), None)
    if first is None:
        return []
    apart = [differences(first, one) if one is not None else None for one in configs]
    keys = dict.fromkeys(key for one in apart if one for key in one)
    found = []
    for key in keys:
        own = next(one[key][0] for one in apart if one and key in one)
        found.append({"key": key, "values": [None if one is None else one.get(key, (own, own))[1] for one in apart]})
    return finite(found)


def _config(run: RunFolder) -> Config | None:
    try:
        return resolve([load_toml(sealed_path(run, run.config))]).config
    except (ChainruleError, OSError):
        return None
