"""What a look at pairs of answers says, in words: are the chosen ones preferred, and are they still likely?"""

from chainrule.run import PreferenceRow
from chainrule.verdict.thresholds import CHOSEN_FALLEN
from chainrule.verdict.words import share_interval


def preference_words(row: PreferenceRow) -> str:
    """How many pairs are preferred rightly, with an interval, by how much; and whether the chosen answers fell too."""
    if not row.n:
        return f"step {row.step}: no pairs were looked at"
    low, high = share_interval(row.right, row.n)
    told = f"step {row.step}: {row.right:,} of {row.n:,} pairs are preferred more rightly than at the start "
    told += f"({row.right / row.n:.0%}; {low:.0%} to {high:.0%})"
    if row.loss is not None and row.margin is not None:
        told += f", by {row.margin:.2f} nats; loss {row.loss:.4f}"
    if row.chosen is not None and row.rejected is not None:
        told += f"; chosen {row.chosen:.3f}, rejected {row.rejected:.3f} nats a token"
    if row.chosen_fall is not None and row.chosen_fall > CHOSEN_FALLEN:
        told += (
            f". The chosen answers have themselves become less likely, by {row.chosen_fall:.0%} of their "
            "log-probability: both fall, one slower. Lower the learning rate, raise beta, or use orpo, which also "
            "teaches the chosen answers"
        )
    return told
