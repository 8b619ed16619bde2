"""What a model that learns something new forgets of the old: bits per byte of old text, before and after."""

from chainrule.run import Change, Tuning
from chainrule.verdict.thresholds import FORGETS, FORGOT
from chainrule.verdict.verdicts import Mark, Verdict

USUAL_REPLAY, MOST_REPLAY = 0.1, 0.5


def judge_forgetting(old: Change, tuning: Tuning | None = None, *, step: int | None = None) -> Verdict:
    """Whether the old text has become harder, and which setting to change.

    `tuning` says how a fine-tuning was set; None for a run that went on with new text. `step` is that of a look on the
    way; without it, the run is over.
    """
    grown = old.after / old.before - 1
    figures = (
        f"{old.before:.3f} bits per byte before, {old.after:.3f} {'after' if step is None else f'at step {step:,}'}"
    )
    text = "base text" if tuning else "the old text"
    if grown <= FORGETS:
        said = "nothing" if grown <= 0 else f"next to nothing ({_share(grown)} more bits)"
        return Verdict("forgetting", "good", f"It has forgotten {said} of {text}: {figures}.")
    # Not "bad if above": a model that gives no numbers any more has forgotten everything.
    mark: Mark = "note" if grown <= FORGOT else "bad"
    verb = "forgets" if step is not None else "has forgotten"
    sentence = f"It {verb} what it knew: {text} takes {_share(grown)} more bits, {figures}."
    return Verdict("forgetting", mark, sentence, _remedy(tuning))


def _remedy(tuning: Tuning | None) -> str:
    """The settings to change; one that was taken already is raised, or not named."""
    if tuning is None:
        return "Mix old text in (--origin.old-share 0.1), lower optimizer.lr, or take fewer steps."
    adapter = ", or learn an adapter alone (--adapter lora)" if tuning.lora is None else ""
    if tuning.objective != "answers":
        # Text cannot be mixed into answers that are compared.
        return f"Lower optimizer.lr, take fewer --epochs{adapter}."
    more = min(MOST_REPLAY, 2 * tuning.replay)
    mix = f"more base text in (--replay {more:g})" if tuning.replay else f"base text in (--replay {USUAL_REPLAY})"
    return f"Mix {mix}, lower optimizer.lr, take fewer --epochs{adapter}."


def _share(grown: float) -> str:
    return f"{grown:.1%}" if grown < 1 else f"{grown:.0%}"
