"""From raw text to a data set that the model can learn from: survey, tokenizer, token shards."""

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError
from chainrule.config import Config
from chainrule.data import Batches, Dataset, Survey, open_dataset, survey, write_shards
from chainrule.plan import parameters, run_tokens
from chainrule.run import RunFolder
from chainrule.tokenizer import Tokenizer, build_tokenizer, load_tokenizer, tokenizer_report
from chainrule.train.watch import Watch

MANY_EPOCHS = 4


def read_text(config: Config, folder: Path, watch: Watch) -> Survey:
    """Pass 1 over the text; its tables stay in `folder`."""
    if not config.text.paths:
        raise ConfigError("no text was given; name a folder, a file or a glob, such as: chainrule pretrain my_texts/")
    return survey(config.text, folder, workers=config.machine.workers, on_progress=partial(_progress, watch))


def make_tokenizer(config: Config, found: Survey, run: RunFolder, watch: Watch) -> Tokenizer:
    """The run's tokenizer: from its folder when it is there already, else made as `config` says, and saved."""
    if run.tokenizer.is_file():
        return load_tokenizer(run.tokenizer)
    watch("progress", {"phase": "tokenizer", "done": 0, "total": found.split_bytes("train")})
    tokenizer = build_tokenizer(config.vocabulary, config.model.vocab_size, lambda: found.sample("train"))
    tokenizer.save(run.tokenizer)
    return tokenizer


def make_shards(config: Config, found: Survey, tokenizer: Tokenizer, run: RunFolder, watch: Watch) -> Dataset:
    """Pass 2 over the text, and the data set that it made, verified."""
    write_shards(
        found,
        tokenizer,
        run.data,
        context_length=config.model.context_length,
        workers=config.machine.workers,
        on_progress=partial(_progress, watch),
    )
    return open_dataset(run.data)


def training_batches(config: Config, dataset: Dataset, old: Dataset | None) -> Batches:
    """What the run learns from, in its order; `old` is the text of the run that it goes on from."""
    share = config.origin.old_share
    return Batches(
        dataset.split("train"),
        config.model.context_length,
        config.training.seed,
        old=old.split("train") if old and share else None,
        old_share=share,
        documents=not config.text.cross_documents,
    )


def tokenizer_row(tokenizer: Tokenizer, dataset: Dataset, config: Config, asked_size: int) -> dict[str, Any]:
    """What the tokenizer makes of the training text, with warnings where it does not suit text or model."""
    report = tokenizer_report(
        tokenizer,
        dataset.counts("train"),
        emb_dim=config.model.emb_dim,
        n_params=parameters(config.model).total,
        asked_size=asked_size,
    )
    return {**asdict(report), "warnings": list(report.warnings)}


def data_row(dataset: Dataset, config: Config) -> dict[str, Any]:
    """The data report, with the epochs that the run will make and a warning past four."""
    report = dict(dataset.manifest.report)
    epochs = run_tokens(config) / dataset.split("train").n_tokens
    warnings = list(report.get("warnings", []))
    if epochs > MANY_EPOCHS:
        warnings.append(
            f"the run reads the text {epochs:.1f} times; past {MANY_EPOCHS} the model learns it by heart more than it "
            "learns from it (Muennighoff et al., arXiv 2305.16264): more text, fewer steps or a smaller model help"
        )
    return {**report, "epochs": round(epochs, 3), "warnings": warnings}


def _progress(watch: Watch, phase: str, done: int, total: int) -> None:
    watch("progress", {"phase": phase, "done": done, "total": total})
