"""How a person sees a run while it goes: the trainer tells, whoever listens shows."""

from collections.abc import Callable, Mapping
from typing import Any

Watch = Callable[[str, Mapping[str, Any]], None]
"""Called with a kind and a row: machine, progress, plan, tokenizer, data, train, eval, sample, notice, saved, finished.

The rows of `train`, `eval`, `sample` and `notice` are those of the run folder's files; `machine` and `plan` those of
machine.json, `data` the report of the manifest, `finished` the summary. `progress` has phase, done and total (bytes).
"""


def silent(kind: str, row: Mapping[str, Any]) -> None:
    """Shows nothing: the run folder has it all."""
