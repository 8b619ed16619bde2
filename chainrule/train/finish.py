"""The end of a run: how good it is, against what, and what it writes."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from chainrule.base import finite, write_json
from chainrule.evaluate import Scoring, baselines, python_share
from chainrule.generate import Completion, generate, usual_rules
from chainrule.plan import flops_per_token, parameters
from chainrule.run import read_rows
from chainrule.train.looks import score_held_out, where
from chainrule.train.origin import forgetting
from chainrule.train.session import Session, environment
from chainrule.train.written import judged, shown

COMPLETION_TOKENS = 160
FUNCTIONS, FUNCTION_TOKENS, FUNCTION_PROMPT = 48, 192, "\n\ndef "
# Cooler than the samples: code has less room for surprise.
FUNCTION_TEMPERATURE = 0.6
PYTHON = ("python",)


def finish(session: Session, *, begun: float, before: Mapping[str, float | None] | None) -> dict[str, Any]:
    """Scores all held-out text, measures the baselines, samples, and writes summary.json; returns it.

    Held-out tokens are scored with windows that overlap by half, so that each but the first has at least half a context
    to look back on. `begun` is a time.perf_counter(); `before` what the model that
    this one goes on from scored.
    """
    with session.stop.at_once():
        _say(session, "scoring all held-out text")
        scoring = final_scoring(session)
        scores = score_held_out(session, max_tokens=scoring.max_tokens, stride=scoring.stride)
        store = session.dataset
        _say(session, "measuring the baselines")
        measured = baselines(store.split("train"), store.split("validation"), session.tokenizer)
        _say(session, "writing completions")
        written = complete(session)
        summary = {
            **status(session, "finished", begun),
            "val_loss": scores.loss,
            "val_perplexity": scores.perplexity,
            "val_bits_per_byte": scores.bits_per_byte,
            "scored": {**scoring.row(), "n_tokens": scores.n_tokens, "n_bytes": scores.n_bytes},
            "by_source": {name: one.figures() for name, one in scores.by_source.items()},
            "baselines": dict(measured),
            "python": python_figures(session),
            "completions": shown(written),
            "quality": judged(written, store, session.tokenizer),
            **forgetting(session, before),
        }
    summary["total_seconds"] = round(time.perf_counter() - begun, 3)
    write_json(session.run.summary, finite(summary))
    return summary


def final_scoring(session: Session) -> Scoring:
    """How the run scores itself at its end; summary.json says it, so that `chainrule evaluate` gives the same figure.

    What is scored must be the windows of one call with these settings: whoever bounds it by time sets `max_tokens`.
    """
    return Scoring(
        max_tokens=None,
        stride=max(1, session.config.model.context_length // 2),
        micro_batch=session.micro_batch,
        precision=session.facts.precision,
        documents=not session.config.text.cross_documents,
        threads=session.facts.threads,
    )


def interrupted(session: Session | None, signal_number: int, begun: float) -> dict[str, Any]:
    """The summary of a run that a signal ended: its checkpoint is saved, and it can go on."""
    figures = {} if session is None else status(session, "interrupted", begun)
    summary = {"status": "interrupted", **figures, "signal": signal_number}
    if session is not None:
        write_json(session.run.summary, finite(summary))
    return summary


def status(session: Session, name: str, begun: float) -> dict[str, Any]:
    """What a summary says of any run, finished or not."""
    progress, config = session.state.progress, session.config
    speeds = [row for row in read_rows(session.run.metrics) if row.get("kind") == "train"]
    place = where(session)
    speed = place["tokens"] / progress.seconds if progress.seconds else None
    best = progress.best_step
    return {
        "status": name,
        **place,
        "steps": config.training.steps,
        "total_seconds": round(time.perf_counter() - begun, 3),
        "parameters": parameters(config.model).total,
        "train_loss": speeds[-1]["loss"] if speeds else None,
        "val_loss": progress.val_loss,
        "tokens_per_second": speed,
        "peak_share": speed * flops_per_token(config.model) / session.facts.peak_flops if speed else None,
        "best": None if best is None else {"step": best, "val_loss": progress.val_losses[str(best)]},
        "n_skipped": progress.n_skipped,
        "versions": environment(session.facts),
        "command": f"chainrule pretrain --config {session.run.config}",
    }


def complete(session: Session) -> list[Completion]:
    """Three completions of the run's prompts, longer than the samples on the way."""
    training = session.config.training
    prompts = [training.prompts[index % len(training.prompts)] for index in range(3)]
    return generate(
        session.state.model,
        session.tokenizer,
        prompts,
        max_new_tokens=COMPLETION_TOKENS,
        rules=usual_rules(parameters(session.config.model).total),
        seed=training.seed + 1,
        heal=True,
    )


def python_figures(session: Session) -> dict[str, Any] | None:
    """For a run on the Python library: how many of the functions that it writes Python can parse."""
    if tuple(session.config.text.paths) != PYTHON:
        return None
    done = generate(
        session.state.model,
        session.tokenizer,
        [FUNCTION_PROMPT] * FUNCTIONS,
        max_new_tokens=FUNCTION_TOKENS,
        rules=usual_rules(parameters(session.config.model).total, temperature=FUNCTION_TEMPERATURE),
        seed=session.config.training.seed + 2,
        heal=True,
    )
    share = python_share((one.prompt + one.text).lstrip("\n") for one in done)
    return {
        "functions": share.functions,
        "parsed": share.parsed,
        "share": share.share,
        "version": sys.version.split()[0],
    }


def _say(session: Session, phase: str) -> None:
    session.watch("progress", {"phase": phase, "done": 0, "total": 0})
