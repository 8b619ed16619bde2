"""The end of a run: how good it is, against what, and what it writes."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from chainrule.base import ConfigError, DataError, DiskError, finite
from chainrule.evaluate import Candidate, Scores, as_much_as, baselines_within, doubled, surprises, tasks_for
from chainrule.generate import Completion, generate, usual_rules
from chainrule.plan import parameters
from chainrule.run import (
    Baselines,
    Best,
    OnBothTexts,
    Progress,
    RunFolder,
    Scored,
    Summary,
    Surprise,
    TaskResult,
    TrainRow,
    append_row,
    journal_ends,
    last_record,
    read_start,
    write_run_json,
)
from chainrule.run import Scores as SourceScores
from chainrule.train.ending import COMPLETION_TOKENS
from chainrule.train.looks import final_scoring, own_scoring, score_held_out, where
from chainrule.train.more import more_minutes
from chainrule.train.origin import forgetting
from chainrule.train.session import Session, environment
from chainrule.train.written import judged, shown

N_COMPLETIONS, LEAST_TOKENS = 3, 16
# The first of the scored windows, in micro-batches: they tell how many more there is time for.
TRIAL_BATCHES = 8


def finish(session: Session, *, begun: float, before: OnBothTexts | None) -> Summary:
    """Scores held-out text, measures the baselines, samples, and writes summary.json; returns it.

    Held-out tokens are scored with windows that overlap by half, so that each but the first has at least half a context
    to look back on; of a text that is too long for the time, evenly spread windows ("scored" says how much). `begun` is
    a time.perf_counter(); `before` what the model that this one goes on from scored.
    """
    with session.stop.at_once():
        _say(session, "scoring held-out text")
        scores, scored = score_at_the_end(session)
        write_surprise(session)
        again = forgetting(session, before, scores.bits_per_byte if scored.whole else None)
        store = session.dataset
        _say(session, "measuring the baselines")
        seconds = allowed(session, "baselines")
        measured = baselines_within(seconds, store.split("train"), store.split("validation"), session.tokenizer)
        _say(session, "writing completions")
        written, results = texts_at_the_end(session)
        told = run_status(session, "finished", begun)
        summary = replace(
            told,
            # Of the end there is one figure; the looks that chose the best checkpoint were of a part of the text.
            best=replace(told.best, val_loss=scores.loss) if told.best and told.best.step == told.step else told.best,
            val_loss=scores.loss,
            val_perplexity=scores.perplexity,
            val_bits_per_byte=scores.bits_per_byte,
            scored=scored,
            more_minutes=more_minutes(session, scores.bits_per_byte),
            by_source={name: SourceScores(**one.figures()) for name, one in scores.by_source.items()},
            baselines=Baselines(**measured),
            tasks=results,
            completions=shown(written),
            quality=judged(written, store, session.tokenizer),
            new=again.new,
            old=again.old,
        )
    report_seconds = allowed(session, "report")
    summary = replace(
        summary,
        total_seconds=round(time.perf_counter() - begun, 3),
        report_seconds=round(report_seconds, 3) if math.isfinite(report_seconds) else None,
    )
    session.patient(lambda: write_summary(session.run, summary))
    return summary


def write_summary(run: RunFolder, summary: Summary) -> None:
    """summary.json, with null for what is not finite, and where the journals end."""
    write_run_json(run, run.summary, finite({**summary.row(), "journals": journal_ends(run.journals)}))


def score_at_the_end(session: Session) -> tuple[Scores, Scored]:
    """Held-out text as far as the time goes; what was scored, so that the figure can be made again and judged."""
    store = session.dataset.split("validation")
    n_tokens = store.n_tokens
    whole = final_scoring(session, None)

    def work(n: int, check: Callable[[], None]) -> Scores:
        part = whole if n >= n_tokens else final_scoring(session, n)
        return score_held_out(session, store, part, on_progress=lambda done, total: check())

    sizes = doubled((whole.stride or 1) * whole.micro_batch * TRIAL_BATCHES, n_tokens)
    taken, scores = as_much_as(allowed(session, "score"), sizes, work, clock=session.budget.clock.now)
    return scores, Scored(
        **(whole if taken >= n_tokens else final_scoring(session, taken)).row(),
        whole=taken >= n_tokens,
        n_tokens=scores.n_tokens,
        of_tokens=n_tokens - 1,
        n_bytes=scores.n_bytes,
        of_bytes=session.dataset.manifest.report.split_bytes["validation"],
    )


def write_surprise(session: Session) -> None:
    """Writes how surprising some stretches of the held-out text are, piece by piece."""
    store = session.dataset.split("validation")
    found = surprises(session.state.model, store, session.tokenizer, final_scoring(session, None))
    rows = [Surprise(session.state.progress.step, one.pieces, one.nats, one.source).row() for one in found]

    def write() -> None:
        session.run.surprise.unlink(missing_ok=True)
        for row in rows:
            append_row(session.run.surprise, row)

    session.patient(write)


def allowed(session: Session, part: str) -> float:
    """Seconds that a part of the end may take, by what the clock says now."""
    budget = session.budget
    left = math.inf if budget.seconds is None else budget.seconds - budget.clock.spent()
    return budget.ending.allowed(part, left)


def interrupted(session: Session | None, signal_number: int, begun: float) -> Summary:
    """The summary of a run that a signal ended: its checkpoint is saved, and it can go on."""
    if session is None:
        return Summary("interrupted", signal=signal_number)
    summary = replace(run_status(session, "interrupted", begun), signal=signal_number)
    write_summary(session.run, summary)
    return summary


def run_status(session: Session, name: str, begun: float) -> Summary:
    """What a summary says of any run, finished or not."""
    progress, config = session.state.progress, session.config
    last = last_record(session.run.metrics, TrainRow)
    place = where(session)
    speed = place["tokens"] / progress.seconds if progress.seconds else None
    best = progress.best_step
    return Summary(
        status=name,
        **place,
        steps=session.course.steps,
        total_seconds=round(time.perf_counter() - begun, 3),
        parameters=parameters(config.model).total,
        train_loss=last.loss if last else None,
        val_loss=progress.val_loss,
        tokens_per_second=speed,
        peak_share=speed * session.flops_per_token / session.facts.peak_flops if speed else None,
        best=None if best is None else Best(best, progress.val_losses[str(best)]),
        n_skipped=progress.n_skipped,
        versions=environment(session.facts),
        command=f"chainrule pretrain --config {session.run.config}",
        lineage=read_start(session.run).lineage,
    )


def texts_at_the_end(session: Session) -> tuple[list[Completion], tuple[TaskResult, ...]]:
    """Three completions of the run's prompts, longer than the samples on the way, and what the tasks found.

    Both as long and as many as the time allows.
    """
    training, clock = session.config.training, session.budget.clock
    end, began = clock.now() + allowed(session, "texts"), clock.now()
    prompts = [training.prompts[index % len(training.prompts)] for index in range(N_COMPLETIONS)]
    # The round of samples just before says what a token of a few texts takes.
    token_seconds = session.budget.pace.costs.samples / training.sample_tokens
    length = int(min(COMPLETION_TOKENS, max(LEAST_TOKENS, (end - began) / 2 / max(token_seconds, 1e-9))))
    completions = _completions(session, prompts, length)
    return completions, put_to_tasks(session, end, (clock.now() - began) / length)


def _completions(session: Session, prompts: Sequence[str], length: int) -> list[Completion]:
    model, tokenizer = session.state.model, session.tokenizer
    rules, seed = usual_rules(parameters(session.config.model).total), session.config.training.seed + 1
    return generate(model, tokenizer, prompts, max_new_tokens=length, rules=rules, seed=seed, heal=True)


def put_to_tasks(session: Session, end: float = math.inf, token_seconds: float = 0.0) -> tuple[TaskResult, ...]:
    """What the tasks of the run found by the time `end` of its clock; `token_seconds` is a step of a few texts.

    A task that can no longer be opened (its file is gone) is noted: it must not cost a finished run its summary.
    """
    config, clock = session.config, session.budget.clock

    def affords(n_texts: int, n_tokens: int) -> int:
        # A step of many rows takes longer than one of three, by less than the number of rows: on two cores 2 to 4
        # times. A single text says nothing of a share.
        most, n = n_texts, n_texts
        while n > 1 and n_tokens * token_seconds * (1 + 3 * n / most) > end - clock.now():
            n //= 2
        return n if n > 1 else 0

    candidate = Candidate(
        session.state.model,
        session.tokenizer,
        own_scoring(session),
        config.training.seed + 2,
        affords,
        lambda: clock.now() > end,
    )
    try:
        tasks = tasks_for(config.training.tasks, config.text.paths)
    except (ConfigError, DataError, DiskError) as fault:
        session.note(f"the model was put to no task: {fault}")
        return ()
    found = [task.examine(candidate) for task in tasks]
    return tuple(result for result in found if result is not None)


def _say(session: Session, phase: str) -> None:
    session.watch(Progress(phase))
