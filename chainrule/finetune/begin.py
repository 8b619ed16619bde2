"""From a model and rows to a session that is ready for its first step; and the same lesson again, on a resume."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from chainrule.base import ConfigError, write_json
from chainrule.checkpoint import OpenedModel, base_fingerprint, peft_words
from chainrule.config import Config, Layer, Resolved, TextConfig, resolve
from chainrule.data import Dataset, is_prepared, open_dataset, survey, write_shards
from chainrule.finetune.checks import Prepared, check
from chainrule.finetune.examples import Writing
from chainrule.finetune.grow import grown, with_own_template
from chainrule.finetune.lesson import AnswersLesson, questions_of
from chainrule.finetune.packing import Packed, packed
from chainrule.finetune.prepared import held_out, keep, kept, written
from chainrule.finetune.preview import Span, spans
from chainrule.finetune.probe import overfit
from chainrule.finetune.rows import read_rows
from chainrule.finetune.settings import TuningSettings
from chainrule.finetune.weights import ADAPTERS, Weights
from chainrule.model import GPT
from chainrule.run import LoraRecord, RunFolder, Tuning, read_tuning
from chainrule.tokenizer import ChatTemplate, Tokenizer, load_template, load_tokenizer, save_template
from chainrule.train import (
    Origin,
    Session,
    Settled,
    Start,
    check_room,
    find_origin,
    link_old_text,
    old_dataset,
    on_machine,
    ready,
    save_settings,
    start_record,
)

# Windows are at least as long as this where the context allows, so that several short examples share one.
USUAL_WINDOW, WINDOW_STEP = 256, 8
SHOWN_EXAMPLES = 2
MOST_QUESTIONS = 64
Show = Callable[[Sequence[Sequence[Span]]], None]
"""Gets the first examples as they will be learnt."""


def anew(
    start: Start, layers: Sequence[Layer], settings: TuningSettings, minutes: float | None, show: Show | None
) -> Session:
    """The session of a new run: examples read, checked, shown and kept, settings chosen, the probe passed."""
    given = resolve(layers)
    record = start_record(layers, minutes)
    write_json(start.run.machine, record.row())
    save_settings(start.run, given)
    facts = start.look_at_machine(given.config)
    origin = find_origin(given.config, layers)
    assert origin is not None
    opened = origin.opened
    tokenizer, template = _words(opened)
    prepared, tuning = _prepare(start, origin, tokenizer, template, settings, given.config)
    check(prepared)
    if show is not None:
        show([spans(one, tokenizer) for one in prepared.train[:SHOWN_EXAMPLES]])
    resolved = on_machine(_settings(layers, origin, tokenizer, prepared, settings), facts)
    lesson = _lesson(prepared, tuning)
    if settings.probe and lesson.questions:
        model = _first_model(lesson, resolved.config, opened)
        probed = overfit(model, prepared.train, lesson.stop, n_choices=tokenizer.vocab_size)
        start.say(probed.sentence)
    dataset = _kept(start, prepared, tuning, settings, origin)
    check_room(start.run, resolved.config)
    settled = Settled(resolved, facts, tokenizer, dataset, record)
    return ready(replace(start, lesson=lesson), settled, origin, minutes)


def _words(opened: OpenedModel) -> tuple[Tokenizer, ChatTemplate]:
    """The model's own vocabulary and template, or those that a base model gets."""
    return (opened.tokenizer, opened.template) if opened.template else with_own_template(opened.tokenizer)


def _prepare(
    start: Start, origin: Origin, tokenizer: Tokenizer, template: ChatTemplate, settings: TuningSettings, config: Config
) -> tuple[Prepared, Tuning]:
    context = origin.opened.config.context_length
    rows = read_rows(config.text.paths, settings.columns, skip=settings.skip_bad)
    start.say(rows.sentence)
    made, faults = written(rows, Writing(tokenizer, template, context, settings.too_long))
    for fault in faults[:3]:
        start.say(f"left out: {fault}")
    train, validation = held_out(made, settings.held_out) if made else ([], [])
    together = origin.opened.config.position == "rope"
    longest = max(map(len, made), default=2)
    window = _window(longest, context) if together else min(context, max(1, longest - 1))
    windows = packed(train, window, tokenizer.end_of_text, together=together)
    state = grown(
        {"token_embedding.weight": origin.opened.model.token_embedding.weight.detach()},
        origin.opened.tokenizer.vocab_size,
        tokenizer.vocab_size,
        config.training.seed,
    )
    prepared = Prepared(
        train, validation, windows, tokenizer, template, state["token_embedding.weight"], len(rows.examples), faults
    )
    tuning = Tuning(
        source=origin.source,
        examples=tuple(config.text.paths),
        shapes=rows.shapes,
        left_out=len(faults) + len(rows.faults),
        n_train=len(train),
        n_held_out=len(validation),
        n_cut=sum(not one.whole for one in made),
        trained_tokens=sum(int(one.trained.sum()) for one in train),
        window_tokens=window,
        replay=settings.replay,
        objective=settings.objective,
        lora=_lora_record(origin, settings),
        n_known=origin.opened.tokenizer.vocab_size,
        template=template.fingerprint,
    )
    start.say(_told(tuning, windows))
    return prepared, tuning


def _told(tuning: Tuning, windows: Packed) -> str:
    share = tuning.trained_tokens / max(1, windows.ids.size)
    cut = f"; of {tuning.n_cut:,} the prompt was cut from the left" if tuning.n_cut else ""
    return (
        f"{tuning.n_train:,} examples in {len(windows):,} windows of {tuning.window_tokens:,} tokens, "
        f"{tuning.trained_tokens:,} tokens of answers learnt ({share:.0%} of what is read), {tuning.n_held_out:,} "
        f"examples held out{cut}"
    )


def _window(longest: int, context: int) -> int:
    """Tokens of a window: as the longest example needs, and enough for several short ones."""
    wanted = max(longest, min(USUAL_WINDOW, context))
    return min(context, -(-wanted // WINDOW_STEP) * WINDOW_STEP)


def _settings(
    layers: Sequence[Layer], origin: Origin, tokenizer: Tokenizer, prepared: Prepared, settings: TuningSettings
) -> Resolved:
    """The base model's shape and gentle rates, and steps for so many epochs; what was typed wins."""
    shape = origin.opened.config
    size = max(shape.vocab_size, tokenizer.vocab_size)
    per_window = len(prepared.train) / max(1, len(prepared.packed))
    n_windows = min(len(prepared.packed), max(1, round(settings.batch_examples / per_window)))
    steps = max(1, round(settings.epochs * len(prepared.packed) / n_windows))
    adapter = settings.adapter_for(origin.opened.model)
    rate = settings.rate(shape.emb_dim, adapter)
    values: dict[str, dict[str, Any]] = {
        "model": {"vocab_size": size},
        "training": {
            "batch_tokens": n_windows * shape.context_length,
            "steps": steps,
            **dict.fromkeys(("eval_every", "sample_every", "save_every"), max(1, steps // 4)),
            "health_every": 0,
            "tasks": (),
        },
        **({"optimizer": {"kind": "adamw", "lr": rate}} if rate else {}),
        "schedule": {"kind": "cosine", "warmup_share": 0.05, "floor": 0.1, "first_window": 0},
    }
    return resolve([origin.layer(), Layer("examples", values), *layers])


def _first_model(lesson: AnswersLesson, config: Config, opened: OpenedModel) -> GPT:
    """The model that a run begins with, for the probe."""
    torch.manual_seed(config.training.seed)
    model = GPT(config.model)
    lesson.adapt(config, model)
    lesson.first_model(config, model, opened)
    return model


def _lesson(prepared: Prepared, tuning: Tuning) -> AnswersLesson:
    end, window = prepared.tokenizer.end_of_text, tuning.window_tokens
    # One example a window: right for learned positions too, and there are few of them.
    behind = packed(prepared.held_out, window, end, together=False)
    return AnswersLesson(
        _weights(tuning, prepared.tokenizer),
        prepared.packed,
        behind,
        questions_of(prepared.held_out)[:MOST_QUESTIONS],
        prepared.template,
    )


def _weights(tuning: Tuning, tokenizer: Tokenizer) -> Weights:
    return ADAPTERS["lora" if tuning.lora else "none"](tuning, tokenizer)


def _lora_record(origin: Origin, settings: TuningSettings) -> LoraRecord | None:
    """What the adapter is and stands on; None where all weights learn."""
    if settings.adapter_for(origin.opened.model) == "none":
        return None
    lora = settings.lora
    step, sha256 = origin.opened.step, base_fingerprint(origin.opened.model)
    return LoraRecord(lora.rank, lora.alpha, lora.rslora, lora.dora, lora.targets, sha256, step)


def _kept(start: Start, prepared: Prepared, tuning: Tuning, settings: TuningSettings, origin: Origin) -> Dataset:
    """Writes examples, mask, tokenizer, template and base text into the run's folder."""
    run = start.run
    mask = keep(run.data, prepared.train, prepared.held_out, prepared.tokenizer, tuning.examples)
    prepared.tokenizer.save(run.tokenizer)
    if prepared.template:
        save_template(prepared.template, run.path)
    _keep_base_text(start, settings, origin, prepared.tokenizer)
    if tuning.lora:
        rows = range(tuning.n_known, prepared.tokenizer.vocab_size)
        write_json(run.adapter, peft_words(origin.opened.config, settings.lora, origin.source, rows))
    write_json(run.tuning, replace(tuning, mask=mask).row())
    return open_dataset(run.data)


def _keep_base_text(start: Start, settings: TuningSettings, origin: Origin, tokenizer: Tokenizer) -> None:
    """Text like that which the model was trained on: given, or that of the run which it is from."""
    run = start.run
    if settings.base_text:
        found = survey(TextConfig(paths=settings.base_text), run.old)
        write_shards(found, tokenizer, run.old, context_length=origin.opened.config.context_length)
    else:
        link_old_text(origin, run)
    if settings.replay and not is_prepared(run.old):
        raise ConfigError(f"replay={settings.replay:g} mixes base text in, and none is known; give some by --text")
    if old_dataset(run) is None:
        start.say("what is forgotten is not measured: no base text is known; --text names some")


def lesson_of_run(run: RunFolder, config: Config) -> AnswersLesson:
    """The lesson as it was, from the run's folder."""
    tuning = read_tuning(run)
    assert tuning is not None
    tokenizer = load_tokenizer(run.tokenizer)
    template = load_template(run.path, tokenizer)
    train, validation = kept(open_dataset(run.data), tuning.mask)
    together = config.model.position == "rope"
    windows = packed(train, tuning.window_tokens, tokenizer.end_of_text, together=together)
    behind = packed(validation, tuning.window_tokens, tokenizer.end_of_text, together=False)
    questions = questions_of(validation)[:MOST_QUESTIONS]
    return AnswersLesson(_weights(tuning, tokenizer), windows, behind, questions, template)
