"""What ten more minutes would give a run, for its summary."""

from typing import Any

from chainrule.plan import MORE_MINUTES, foretell
from chainrule.run import read_rows
from chainrule.train.looks import where
from chainrule.train.session import Session


def more_minutes(session: Session, bits_per_byte: float) -> dict[str, Any] | None:
    """Where the run would have come with MORE_MINUTES besides, in the same settings; None where nothing can be said.

    `bits_per_byte` is its final figure. Nothing is said of a run without a time, of one that was given more steps and
    so has several schedules in its curve, and of one that began with another model's weights.
    """
    budget, config = session.budget, session.config
    if budget.seconds is None or session.state.progress.leg or config.origin.start_from:
        return None
    looks = []
    for row in read_rows(session.run.metrics, "eval"):
        at, bits = row.get("tokens"), row.get("val_bits_per_byte")
        if isinstance(at, int | float) and isinstance(bits, int | float):
            looks.append((int(at), float(bits)))
    tokens = where(session)["tokens"]
    costs, every = budget.pace.costs, session.intervals
    # At the pace of late, with looks, samples and checkpoints between the steps; start and end are paid already.
    each = costs.step + costs.looking(every) + costs.save / every.saves
    more_tokens = 60 * MORE_MINUTES / max(each, 1e-9) * config.batch_windows * config.model.context_length
    told = foretell(bits_per_byte, looks, tokens, more_tokens, session.dataset.split("train").n_tokens)
    if told is None:
        return None
    return {
        "minutes": MORE_MINUTES,
        "tokens": round(tokens + more_tokens),
        "bits_per_byte": told.bits_per_byte,
        "low": told.low,
        "high": told.high,
    }
