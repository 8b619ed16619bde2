"""The first sentence on a run, and the one thing to do about it."""

from chainrule.base import duration_text
from chainrule.run import Facts, resume_command
from chainrule.verdict.forgetting import judge_forgetting
from chainrule.verdict.health import judge
from chainrule.verdict.of_a_run import findings
from chainrule.verdict.preference import preference_words
from chainrule.verdict.verdicts import MARKS, Mark, Verdict
from chainrule.verdict.words import against_baselines, known_baselines, task_words

# Of what is no fault: the kinds that say what would make the run better.
WORTH_TRYING = ("unfinished", "ahead")


def headline(facts: Facts) -> Verdict:
    """How good the run is, or how far it has come."""
    step, steps = facts.last.step or facts.summary.step or 0, facts.plan.steps or facts.summary.steps
    if facts.status == "running":
        left = facts.last.seconds_left
        of = f" of {steps:,}" if steps else ""
        time = f", about {duration_text(left)} left" if step and left else ""
        return Verdict("running", "note", f"Step {step:,}{of}{time}." if step else "No step was made yet.")
    if not step:
        return Verdict("no-step", "note", "No step was made, so nothing was learnt and there is nothing to judge.")
    if facts.tuning is not None:
        return _of_a_tuning(facts)
    bits, known = facts.bits_per_byte, known_baselines(facts.baselines)
    if bits is None:
        return Verdict("unscored", "note", "It was not held against held-out text.")
    beaten = sum(bits < value for value in known.values())
    mark: Mark = "note" if not known or 0 < beaten < len(known) else "good" if beaten else "bad"
    return Verdict("baselines", mark, against_baselines(bits, facts.baselines))


def to_do(facts: Facts) -> Verdict | None:
    """The worst that was found, with its remedy; else what would make the run better; None where nothing is to do."""
    if facts.status == "running" or facts.last.step == 0:
        return None
    found = [*judge(facts.health), *findings(facts)]
    worst = [one for one in found if one.mark == MARKS[-1] and one.kind != "start"]
    better = [one for kind in WORTH_TRYING for one in found if one.kind == kind]
    return next(iter([*worst, *better]), None)


def how_to_go_on(facts: Facts) -> str | None:
    """The command that goes on with a run that is not finished; None for one that is, or that runs."""
    return None if facts.status in {"finished", "running"} else resume_command(facts.run)


def _of_a_tuning(facts: Facts) -> Verdict:
    """What it answers or prefers, and what it has forgotten."""
    said = [f"{one.task}: {task_words(one)}" for one in facts.summary.tasks]
    said += [preference_words(facts.preferences[-1])] if facts.preferences else []
    mark: Mark = "note"
    if facts.summary.old is not None:
        mark = judge_forgetting(facts.summary.old, facts.tuning).mark
    return Verdict("taught", mark, f"{'; '.join(said) or 'Nothing was asked of it'}.")
