"""From raw text to a data set that the model can learn from: survey, tokenizer, token shards."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from chainrule.base import ConfigError, DataError
from chainrule.config import Config, Layer, Resolved, mixture_stages
from chainrule.data import EXAMPLES, Batches, Dataset, Survey, executor_of, find_cache, list_files
from chainrule.device import MachineFacts, look_at_machine
from chainrule.plan import draft, parameters, run_tokens, time_budget
from chainrule.run import DataReport, Event, Machine, RunFolder, TokenizerFacts, is_sealed_file, seal_files
from chainrule.tokenizer import Tokenizer, load_tokenizer, tokenizer_report
from chainrule.train.amount import check_amount, little_sentence
from chainrule.train.copied import copied_row, copied_sentence
from chainrule.train.settings import settle
from chainrule.train.shared import Preparing
from chainrule.train.watch import Watch, silent

MANY_EPOCHS = 4
# Of text without copies some phrases stand in both; a score is worth less from here on.
NOTABLE_SHARE = 0.02


def read_text(config: Config, run: RunFolder | None, watch: Watch) -> Survey:
    """Pass 1 over the text; its tables stay in the cache or in the run's folder."""
    if not config.text.paths:
        raise ConfigError("no text was given; name a folder, a file or a glob, such as: chainrule pretrain my_texts/")
    return Preparing(config, watch, run).surveyed(list_files(config.text.paths, config.text.on_bad, config.text))


def make_tokenizer(config: Config, found: Survey, run: RunFolder | None, watch: Watch) -> Tokenizer:
    """The run's tokenizer: from its folder when it is there already, else made as `config` says, and saved."""
    if run is not None and run.tokenizer.is_file():
        if is_sealed_file(run, run.tokenizer):
            return load_tokenizer(run.tokenizer)
        watch(Event(f"{run.tokenizer} was edited or damaged since it was made: it is made again"))
    tokenizer = Preparing(config, watch, run).tokenizer(found)
    if run is not None:
        tokenizer.save(run.tokenizer)
        seal_files(run, run.tokenizer)
    return tokenizer


def make_shards(config: Config, found: Survey, tokenizer: Tokenizer, run: RunFolder | None, watch: Watch) -> Dataset:
    """Pass 2 over the text, and the data set that it made; without a run it is the one in the cache."""
    return Preparing(config, watch, run).shards(found, tokenizer)


@dataclass(frozen=True)
class Prepared:
    """A text that is ready for every run with the same settings, and where it lies."""

    folder: Path
    tokenizer: TokenizerFacts
    data: DataReport
    resolved: Resolved
    """The settings that a run would have, but for what its first steps tell."""

    def row(self) -> dict[str, Any]:
        """By name, for JSON."""
        return {"folder": str(self.folder), "tokenizer": self.tokenizer.row(), "data": self.data.row()}


def prepare_text(layers: Sequence[Layer], *, minutes: float | None = None, watch: Watch = silent) -> Prepared:
    """Prepares the text for every run with these settings, in the cache; returns the folder and the data report.

    Vocabulary and context are chosen as `pretrain` chooses them for these layers and minutes. Raises what that raises,
    and ConfigError when machine.cache is "off".
    """
    minutes = time_budget(layers, minutes)
    given = draft(layers, minutes)
    if find_cache(given.config.machine.cache) is None:
        raise ConfigError("prepared text is kept in the cache, and machine.cache is off; leave it out or name a folder")
    machine = given.config.machine
    # What it lacks is told before anything is measured or read.
    executor_of(machine.executor, machine.workers, machine.executor_options)
    check_amount(given)
    facts = look_at_machine(given.config.machine)
    watch(machine_record(facts))
    found = read_text(given.config, None, watch)
    resolved = settle(layers, facts, minutes, found.split_bytes("train"))
    config = resolved.config
    tokenizer = make_tokenizer(config, found, None, watch)
    dataset = make_shards(config, found, tokenizer, None, watch)
    row = tokenizer_row(tokenizer, dataset, config, config.model.vocab_size)
    watch(row)
    report = data_row(dataset, config)
    watch(report)
    return Prepared(dataset.folder, row, report, resolved)


def training_batches(config: Config, dataset: Dataset, old: Dataset | None) -> Batches:
    """What the run learns from, in its order; `old` is the text of the run that it goes on from.

    Raises DataError when old text is to be mixed in and there is none.
    """
    share = config.origin.old_share
    if share and old is None:
        raise DataError(
            f"the run learns from old text as well (origin.old_share = {share:g}), and its folder old/ is gone or not "
            "whole; bring it back, or start a new run with --from"
        )
    return Batches(
        dataset.split("train"),
        config.model.context_length,
        config.training.seed,
        old=old.split("train") if old and share else None,
        old_share=share,
        documents=not config.text.cross_documents,
        mixture=mixture_stages(config.text.mixture),
    )


def tokenizer_row(tokenizer: Tokenizer, dataset: Dataset, config: Config, asked_size: int) -> TokenizerFacts:
    """What the tokenizer makes of the training text, with warnings where it does not suit text or model."""
    report = tokenizer_report(
        tokenizer,
        dataset.counts("train"),
        emb_dim=config.model.emb_dim,
        n_params=parameters(config.model).total,
        asked_size=asked_size,
    )
    return TokenizerFacts(**asdict(report))


def data_row(dataset: Dataset, config: Config) -> DataReport:
    """The data report, with what of the held-out text is copied, the run's epochs, and a warning past four."""
    report = dataset.manifest.report
    epochs = run_tokens(config) / dataset.split("train").n_tokens
    warnings = [*report.warnings]
    if report.held_out != EXAMPLES and report.bytes and (little := little_sentence(report.bytes)):
        warnings.append(little)
    if epochs > MANY_EPOCHS:
        warnings.append(
            f"the run reads the text {epochs:.1f} times; past {MANY_EPOCHS} the model learns it by heart more than it "
            "learns from it (Muennighoff et al., arXiv 2305.16264): more text, fewer steps or a smaller model help"
        )
    if report.held_out == EXAMPLES:
        # Conversations share the template's words, and equal ones are on one side: there is nothing to be found.
        return replace(report, epochs=round(epochs, 3), warnings=tuple(warnings))
    copied = copied_row(dataset)
    if copied.share is not None and copied.share >= NOTABLE_SHARE:
        warnings.append(copied_sentence(copied))
    return replace(report, copied=copied, epochs=round(epochs, 3), warnings=tuple(warnings))


def machine_record(facts: MachineFacts) -> Machine:
    """What is shown of a machine."""
    return Machine.of(facts.row()) or Machine()
