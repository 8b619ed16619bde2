"""A run's own held-out text, scored as the run scored it at its end: the same figure, to the last digit."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from chainrule.base import CheckpointError, ConfigError, DataError
from chainrule.checkpoint import OpenedModel
from chainrule.config import load_toml, resolve
from chainrule.data import Dataset, TokenStore, open_dataset
from chainrule.evaluate.scoring import Scores, score
from chainrule.run import RunFolder, Summary, run_of


@dataclass(frozen=True)
class Scoring:
    """How held-out text is scored: all that the last digit of the figure depends on, but the weights and the machine.

    `documents` keeps attention inside a document. `threads` are the processor's; 0 is whatever torch has.
    """

    max_tokens: int | None
    stride: int
    micro_batch: int
    precision: str
    documents: bool
    threads: int = 0

    def of(self, opened: OpenedModel, store: TokenStore) -> Scores:
        """The model's scores on the store; torch's number of threads is left at `threads`."""
        if self.threads and opened.model.token_embedding.weight.device.type == "cpu":
            torch.set_num_threads(self.threads)
        return score(
            opened.model,
            store,
            opened.tokenizer.byte_lengths,
            max_tokens=self.max_tokens,
            stride=self.stride,
            micro_batch=self.micro_batch,
            autocast=torch.bfloat16 if self.precision == "bfloat16" else None,
            documents=self.documents,
        )

    def row(self) -> dict[str, Any]:
        """By name, for summary.json."""
        return asdict(self)


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
        return Scoring(own.max_tokens, own.stride, own.micro_batch, own.precision, own.documents, own.threads), summary
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
