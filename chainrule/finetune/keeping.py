"""What a fine-tuning writes into its run's folder before it begins, so that a resume needs nothing else."""

from dataclasses import replace
from pathlib import Path

from chainrule.base import ConfigError, DataError, write_json
from chainrule.checkpoint import peft_words
from chainrule.config import TextConfig
from chainrule.data import Dataset, is_prepared, open_dataset, survey, write_shards
from chainrule.finetune.checks import Prepared
from chainrule.finetune.prepared import keep
from chainrule.finetune.settings import TuningSettings
from chainrule.run import Tuning, seal_files
from chainrule.tokenizer import Tokenizer, save_template
from chainrule.train import Origin, Start, kept_files, link_old_text, old_dataset

# Held out of base text: what is mixed in must not be measured on; where nothing is, half of it is there to measure.
REPLAY_HELD_OUT, MEASURED_SHARE = 0.1, 0.5


def check_base_text(settings: TuningSettings, origin: Origin) -> None:
    """Before anything takes time: the base text that was asked for is there. Raises DataError or ConfigError."""
    for path in settings.base_text:
        if not Path(path).exists():
            raise DataError(f"{path} (--text): there is no such file or folder")
    known = settings.base_text or (origin.run is not None and is_prepared(origin.run.data))
    if settings.replay and not known:
        raise ConfigError(f"replay={settings.replay:g} mixes base text in, and none is known; give some by --text")


def kept_bytes(prepared: Prepared) -> int:
    """Bytes that the examples and their mask will take in the run's folder: four or two of an id, one of its mask."""
    ids = [one.ids for one in (*prepared.train, *prepared.held_out)]
    wide = 4 if prepared.tokenizer.vocab_size > 1 << 16 else 2
    return sum(len(one) for one in ids) * (wide + 1)


def keep_all(start: Start, prepared: Prepared, tuning: Tuning, settings: TuningSettings, origin: Origin) -> Dataset:
    """Writes examples, mask, tokenizer, template and base text into the run's folder."""
    run = start.run
    mask = keep(run.data, prepared.train, prepared.held_out, prepared.tokenizer, tuning.examples)
    prepared.tokenizer.save(run.tokenizer)
    if prepared.template:
        save_template(prepared.template, run.path)
    _keep_base_text(start, settings, origin, prepared.tokenizer, tuning.window_tokens)
    if tuning.lora:
        rows = range(tuning.n_known, prepared.tokenizer.vocab_size)
        write_json(run.adapter_config, peft_words(origin.opened.config, settings.lora, origin.source, rows))
    write_json(run.tuning, replace(tuning, mask=mask).row())
    seal_files(run, *kept_files(run))
    return open_dataset(run.data)


def _keep_base_text(
    start: Start, settings: TuningSettings, origin: Origin, tokenizer: Tokenizer, window_tokens: int
) -> None:
    """Text like that which the model was trained on: given, or that of the run which it is from."""
    run = start.run
    if settings.base_text:
        share = REPLAY_HELD_OUT if settings.replay else MEASURED_SHARE
        found = survey(TextConfig(paths=settings.base_text, validation_share=share), run.old)
        write_shards(found, tokenizer, run.old, context_length=window_tokens)
    else:
        link_old_text(origin, run)
    if old_dataset(run) is None:
        start.say("what is forgotten is not measured: no base text is known; --text names some")
