"""A run's own held-out text, scored as the run scored it at its end: the same figure, to the last digit."""

from dataclasses import fields
from pathlib import Path

from chainrule.base import ConfigError
from chainrule.checkpoint import OpenedModel
from chainrule.config import load_toml, resolve
from chainrule.data import Dataset, TokenStore, run_dataset
from chainrule.evaluate.scoring import Scoring
from chainrule.run import RunFolder, Summary, read_summary, run_of, sealed_path


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
    dataset = run_dataset(run)
    check_same_tokenizer(dataset, opened)
    return dataset.split("validation")


def check_same_tokenizer(dataset: Dataset, opened: OpenedModel) -> None:
    """Raises DataError when the ids of the prepared text mean something else to the model."""
    dataset.check_tokenizer(opened.tokenizer.fingerprint, opened.origin)


def own_scoring(run: RunFolder) -> tuple[Scoring, Summary]:
    """How the run scored itself at its end, and its summary (empty for a run that is not finished).

    A run that has not scored itself yet, or whose summary is damaged, is scored as it would be. `unsealed_files` tells.
    """
    summary = read_summary(run)
    if (own := summary.scored) is not None:
        return Scoring(**{one.name: getattr(own, one.name) for one in fields(Scoring)}), summary
    config = resolve([load_toml(sealed_path(run, run.config))]).config
    return Scoring(
        max_tokens=None,
        stride=max(1, config.model.context_length // 2),
        micro_batch=config.machine.micro_batch or 8,
        precision="bfloat16" if config.machine.precision == "bfloat16" else "float32",
        documents=not config.text.cross_documents,
        threads=config.machine.threads,
        kernels=config.machine.kernels,
    ), summary
