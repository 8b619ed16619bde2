"""From a model and rows to a session that is ready for its first step."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from chainrule.checkpoint import OpenedModel, base_fingerprint
from chainrule.config import Config, Layer, Resolved, resolve
from chainrule.finetune.checks import Prepared, check
from chainrule.finetune.examples import Writing
from chainrule.finetune.grow import grown, with_own_template
from chainrule.finetune.judged import text_pairs
from chainrule.finetune.keeping import check_base_text, keep_all, kept_bytes
from chainrule.finetune.lesson import AnswersLesson
from chainrule.finetune.lessons import lesson_of
from chainrule.finetune.packing import Packed, packed
from chainrule.finetune.pair_lint import lint_pairs
from chainrule.finetune.prepared import Kind, held_out, written
from chainrule.finetune.preview import Span, spans
from chainrule.finetune.probe import overfit
from chainrule.finetune.rows import read_rows
from chainrule.finetune.settings import TuningSettings
from chainrule.model import GPT
from chainrule.run import LoraRecord, ShownExample, ShownSpan, Tuning, append_row, write_run_json
from chainrule.tokenizer import ChatTemplate, Tokenizer
from chainrule.train import (
    Origin,
    Session,
    Settled,
    Start,
    check_room,
    find_origin,
    let_read,
    on_machine,
    ready,
    save_settings,
    start_record,
    tokenizer_row,
)

# Windows are at least as long as this where the context allows, so that several short examples share one.
USUAL_WINDOW, WINDOW_STEP = 256, 8
SHOWN_EXAMPLES = 2
# Of answers that are judged: tokens of a group, few enough for the activations of a small machine, and units in one.
GROUP_TOKENS, MOST_AT_ONCE = 4096, 8
# Tokens of a pass with an adapter. Products of so many rows are at full speed on a CPU where models are large, and what
# a pass keeps (1.7 MB a token in SmolLM2-135M) stays below the weights.
ADAPTER_TOKENS = 512
Show = Callable[[Sequence[Sequence[Span]]], None]
"""Gets the first examples as they will be learnt."""


def anew(
    start: Start, layers: Sequence[Layer], settings: TuningSettings, minutes: float | None, show: Show | None
) -> Session:
    """The session of a new run: examples read, checked, shown and kept, settings chosen, the probe passed."""
    given = resolve(layers)
    record = start_record(layers, minutes)
    write_run_json(start.run, start.run.machine, record.row())
    save_settings(start.run, given)
    facts = start.look_at_machine(given.config)
    origin = find_origin(given.config, layers)
    assert origin is not None
    for sentence in origin.opened.unchecked:
        start.say(sentence)
    for reason in origin.opened.passed_over:
        start.say(f"passed over: {reason}; going on from {origin.opened.origin}")
    check_base_text(settings, origin)
    opened = origin.opened
    tokenizer, template = _words(opened)
    prepared, tuning = _prepare(start, origin, (tokenizer, template), settings, given.config)
    check(prepared)
    start.run.examples.unlink(missing_ok=True)  # those of a start that a kill ended
    shown = [spans(one, tokenizer) for one in prepared.train[:SHOWN_EXAMPLES]]
    for example, told in zip(prepared.train, shown, strict=False):
        row = ShownExample(tuple(ShownSpan(span.text, span.learnt) for span in told), example.good)
        append_row(start.run.examples, row.row())
    if show is not None:
        show(shown)
    resolved = on_machine(_settings(layers, origin, prepared, tuning, settings), facts)
    sides = prepared.train, prepared.held_out
    lesson = lesson_of(start.run, tuning, (tokenizer, template), sides, resolved.config)
    learning = lesson.learning(resolved.config)
    # Before anything that takes time; once more below, when the base text is there.
    check_room(start.run, resolved.config, learning=learning, beside=kept_bytes(prepared))
    if settings.probe and lesson.questions:
        model = _first_model(lesson, resolved.config, opened)
        good = [one for one in prepared.train if one.good]
        start.say(overfit(model, good, lesson.stop, n_choices=tokenizer.vocab_size).sentence)
        del model
    dataset = keep_all(start, prepared, tuning, settings, origin)
    let_read(start.run, resolved.config)
    check_room(start.run, resolved.config, learning=learning)
    about = tokenizer_row(tokenizer, dataset, resolved.config, tokenizer.vocab_size)
    settled = Settled(resolved, facts, tokenizer, dataset, replace(record, tokenizer=about))
    return ready(replace(start, lesson=lesson), settled, origin, minutes)


def _words(opened: OpenedModel) -> tuple[Tokenizer, ChatTemplate]:
    """The model's own vocabulary and template, or those that a base model gets."""
    return (opened.tokenizer, opened.template) if opened.template else with_own_template(opened.tokenizer)


def _prepare(
    start: Start, origin: Origin, words: tuple[Tokenizer, ChatTemplate], settings: TuningSettings, config: Config
) -> tuple[Prepared, Tuning]:
    context, kind, (tokenizer, template) = origin.opened.config.context_length, Kind.of(settings.objective), words
    rows = read_rows(config.text.paths, settings.columns, skip=settings.skip_bad)
    start.say(rows.sentence)
    units, faults = written(rows, kind.units, Writing(tokenizer, template, context, settings.too_long))
    for told in (*(f"left out: {fault}" for fault in faults[:3]), *lint_pairs(text_pairs(rows)).lines()):
        start.say(told)
    sides = held_out(units, settings.held_out, judged=kind.judged) if units else ([], [])
    train, validation = ([one for unit in side for one in unit] for side in sides)
    made = [*train, *validation]
    together = origin.opened.config.position == "rope"
    longest = max(map(len, made), default=2)
    window = _window(longest, context) if together and not kind.judged else min(context, max(1, longest - 1))
    good = [one for one in train if one.good]
    windows = packed(good, window, tokenizer.end_of_text, together=together)
    state = grown(
        {"token_embedding.weight": origin.opened.model.token_embedding.weight.detach()},
        origin.opened.tokenizer.vocab_size,
        tokenizer.vocab_size,
        config.training.seed,
    )
    prepared = Prepared(
        train, validation, windows, tokenizer, template, state["token_embedding.weight"], len(rows.examples), faults
    )
    lora = _lora_record(origin, settings)
    tuning = Tuning(
        source=origin.source,
        examples=tuple(config.text.paths),
        shapes=rows.shapes,
        left_out=len(faults) + len(rows.faults),
        n_train=len(sides[0]),
        n_held_out=len(sides[1]),
        n_cut=sum(not one.whole for one in made),
        trained_tokens=sum(int(one.trained.sum()) for one in train),
        window_tokens=window,
        replay=settings.replay,
        objective=settings.objective,
        strength=settings.strength,
        at_once=_at_once(window, len(sides[0]), GROUP_TOKENS if lora is None else ADAPTER_TOKENS) if kind.judged else 0,
        lora=lora,
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


def _micro_batch(n_windows: int, tuning: Tuning) -> int:
    """Windows of a pass: few beside an adapter, whose base may fill the memory; else (0) whatever the start finds."""
    most = max(1, ADAPTER_TOKENS // tuning.window_tokens)
    return next(n for n in range(min(most, n_windows), 0, -1) if n_windows % n == 0) if tuning.lora else 0


def _at_once(window_tokens: int, n_units: int, n_tokens: int) -> int:
    """Pairs, or rated answers with a stranger beside each, that are computed together: about so many tokens."""
    return max(1, min(n_tokens // (2 * window_tokens), MOST_AT_ONCE, n_units))


def _settings(
    layers: Sequence[Layer], origin: Origin, prepared: Prepared, tuning: Tuning, settings: TuningSettings
) -> Resolved:
    """The base model's shape and gentle rates, and steps for so many epochs; what was typed wins."""
    shape = origin.opened.config
    size = max(shape.vocab_size, prepared.tokenizer.vocab_size)
    # What is learnt comes in windows of several examples, or in groups of two rows for each.
    per_part = tuning.at_once or tuning.n_train / max(1, len(prepared.packed))
    n_parts = -(-tuning.n_train // tuning.at_once) if tuning.at_once else len(prepared.packed)
    n_together = min(n_parts, max(1, round(settings.batch_examples / per_part)))
    n_windows, steps = n_together * (2 * tuning.at_once or 1), max(1, round(settings.epochs * n_parts / n_together))
    adapter = settings.adapter_for(origin.opened.model)
    rate = settings.rate(shape.emb_dim, adapter)
    values: dict[str, dict[str, Any]] = {
        # Dropout would part what learns from what it is held against.
        "model": {"vocab_size": size, **({"drop_rate": 0.0} if tuning.at_once else {})},
        "training": {
            "batch_tokens": n_windows * shape.context_length,
            "steps": steps,
            **dict.fromkeys(("eval_every", "sample_every", "save_every"), max(1, steps // 4)),
            "health_every": 0,
            "tasks": (),
        },
        **({"optimizer": {"kind": "adamw", "lr": rate}} if rate else {}),
        "machine": {"micro_batch": 2 * tuning.at_once or _micro_batch(n_windows, tuning)},
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


def _lora_record(origin: Origin, settings: TuningSettings) -> LoraRecord | None:
    """What the adapter is and stands on; None where all weights learn."""
    if settings.adapter_for(origin.opened.model) == "none":
        return None
    lora = settings.lora
    step, sha256 = origin.opened.step, base_fingerprint(origin.opened.model)
    return LoraRecord(lora.rank, lora.alpha, lora.rslora, lora.dora, lora.targets, sha256, step)
