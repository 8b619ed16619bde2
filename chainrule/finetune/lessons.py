"""From examples and what was written down of them to the lesson that teaches them, of a new run and on a resume."""

from collections.abc import Sequence
from typing import Any

from chainrule.base import ConfigError, RunError
from chainrule.config import Config
from chainrule.data import run_dataset
from chainrule.finetune.examples import Taught
from chainrule.finetune.groups import Groups
from chainrule.finetune.lesson import AnswersLesson, questions_of
from chainrule.finetune.packing import packed
from chainrule.finetune.pair_lesson import PairsLesson
from chainrule.finetune.preference import OBJECTIVES, PairObjective
from chainrule.finetune.prepared import Kind, kept
from chainrule.finetune.weights import ADAPTERS
from chainrule.run import RunFolder, Tuning, read_tuning, sealed_path
from chainrule.tokenizer import ChatTemplate, Tokenizer, load_template, load_tokenizer

MOST_QUESTIONS = 64


def lesson_of(
    run: RunFolder,
    tuning: Tuning,
    words: tuple[Tokenizer, ChatTemplate | None],
    sides: tuple[Sequence[Taught], Sequence[Taught]],
    config: Config,
) -> AnswersLesson:
    """The lesson of these examples (learnt and held out), as `tuning` says."""
    tokenizer, template = words
    good = [[one for one in side if one.good] for side in sides]
    window, end, together = tuning.window_tokens, tokenizer.end_of_text, config.model.position == "rope"
    parts: dict[str, Any] = {
        "weights": ADAPTERS["lora" if tuning.lora else "none"](tuning, tokenizer),
        "train": packed(good[0], window, end, together=together),
        "held_out": packed(good[1], window, end, together=together),
        "questions": questions_of(good[1])[:MOST_QUESTIONS],
        "template": template,
    }
    if tuning.objective == "answers":
        return AnswersLesson(**parts)
    kind = Kind.of(tuning.objective)
    groups, behind = (Groups.of(kind.grouped(side), tuning.at_once, window) for side in sides)
    preference = preference_of(tuning.objective, tuning.strength)
    return PairsLesson(**parts, groups=groups, held_out_groups=behind, preference=preference, file=run.reference)


def lesson_of_run(run: RunFolder, config: Config) -> AnswersLesson:
    """The lesson as it was, from the run's folder."""
    tuning = read_tuning(run)
    if tuning is None:
        raise RunError(f"{run.tuning} is damaged, and no checkpoint has a copy of it; start the fine-tuning again")
    tokenizer = load_tokenizer(sealed_path(run, run.tokenizer))
    words = tokenizer, load_template(run.path, tokenizer)
    return lesson_of(run, tuning, words, kept(run_dataset(run), tuning.mask), config)


def preference_of(objective: str, strength: float | None) -> PairObjective:
    """The objective by its word; `strength` is its first number (β of DPO, SimPO and KTO, τ of IPO, λ of ORPO)."""
    if objective not in OBJECTIVES:
        raise ConfigError(f"objective={objective!r} is unknown; there are {', '.join(OBJECTIVES)}")
    return OBJECTIVES[objective]() if strength is None else OBJECTIVES[objective](strength)
