"""What ten more minutes would give a run, for its summary."""

from chainrule.plan import MORE_MINUTES, foretell
from chainrule.run import EvalRow, Foretold, rows_of
from chainrule.train.looks import where
from chainrule.train.session import Session


def more_minutes(session: Session, bits_per_byte: float) -> Foretold | None:
    """Where the run would have come with MORE_MINUTES besides, in the same settings; None where nothing can be said.

    `bits_per_byte` is its final figure. Nothing is said of a run without a time, of one that was given more steps and
    so has several schedules in its curve, and of one that began with another model's weights.
    """
    budget, config = session.budget, session.config
    if budget.seconds is None or session.state.progress.leg or config.origin.start_from:
        return None
    looks = []
    for look in rows_of(session.run.metrics, EvalRow):
        if look.val_bits_per_byte is not None:
            looks.append((look.tokens, look.val_bits_per_byte))
    tokens = where(session)["tokens"]
    costs, every = budget.pace.costs, session.intervals
    # At the pace of late, with looks, samples and checkpoints between the steps; start and end are paid already.
    each = costs.step + costs.looking(every) + costs.save / every.saves
    more_tokens = 60 * MORE_MINUTES / max(each, 1e-9) * config.batch_windows * config.model.context_length
    told = foretell(bits_per_byte, looks, tokens, more_tokens, session.dataset.split("train").n_tokens)
    if told is None:
        return None
    return Foretold(MORE_MINUTES, told.bits_per_byte, told.low, told.high, round(tokens + more_tokens))
