"""A run's own held-out text, scored as the run scored it at its end: the same figure, to the last digit."""

import json
from dataclasses import fields
from pathlib import Path

from chainrule.base import CheckpointError, ConfigError, DataError
from chainrule.checkpoint import OpenedModel
from chainrule.config import load_toml, resolve
from chainrule.data import Dataset, TokenStore, open_dataset
from chainrule.evaluate.scoring import Scoring
from chainrule.run import RunFolder, Summary, run_of


def run_beside(source: str | Path) -> RunFolder:
    """The run that `source` is, or that it is a checkpoint of, with its text; raises ConfigError when there is none."""
    run = run_of(Path(source))
    if run is not None and run.manifest.is_file():
        return run
    raise ConfigError(
        f"{source} has no held-out text of its own; name the text: `chainrule evaluate {source} my_texts/`"
    )


def held_out_text(run: RunFolder, opened: OpenedModel) -> TokenStore:
    """The run's held-out text; raises DataError when its ids are of another tokenizer than the model's."""
    dataset = open_dataset(run.data)
    check_same_tokenizer(dataset, opened)
    return dataset.split("validation")


def check_same_tokenizer(dataset: Dataset, opened: OpenedModel) -> None:
    """Raises DataError when the ids of the prepared text mean something else to the model."""
    if dataset.manifest.tokenizer != opened.tokenizer.fingerprint:
        raise DataError(
            f"{dataset.folder} was prepared with another tokenizer than that of {opened.origin} (its fingerprint "
            "differs), so its ids mean other words; bring the run's own data folder back, or name the text itself"
        )


def own_scoring(run: RunFolder) -> tuple[Scoring, Summary]:
    """How the run scored itself at its end, and its summary (empty for a run that is not finished).

    A run that has not scored itself yet is scored as it will be. Raises CheckpointError for a damaged summary.
    """
    summary = _whole_summary(run)
    if (own := summary.scored) is not None:
        return Scoring(**{one.name: getattr(own, one.name) for one in fields(Scoring)}), summary
    config = resolve([load_toml(run.config)]).config
    return Scoring(
        max_tokens=None,
        stride=max(1, config.model.context_length // 2),
        micro_batch=config.machine.micro_batch or 8,
        precision="bfloat16" if config.machine.precision == "bfloat16" else "float32",
        documents=not config.text.cross_documents,
        threads=config.machine.threads,
    ), summary


def _whole_summary(run: RunFolder) -> Summary:
    """summary.json; CheckpointError when it is no JSON object, or does not tell how held-out text was scored."""
    if not run.summary.is_file():
        return Summary()
    try:
        content = json.loads(run.summary.read_bytes())
    except (ValueError, RecursionError) as fault:
        raise CheckpointError(f"{run.summary} is damaged: {fault}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{run.summary} is damaged: it holds no JSON object")
    summary = Summary.of(content) or Summary()
    if content.get("scored") is not None and summary.scored is None:
        raise CheckpointError(f"{run.summary} is damaged: its `scored` does not say how held-out text was scored")
    return summary
