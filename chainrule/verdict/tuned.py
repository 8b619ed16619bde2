"""What a search for better settings recommends: what was measured to be better in fresh seeds, or the default."""

from chainrule.verdict.pairs import Paired
from chainrule.verdict.verdicts import Verdict


def judge_tuning(winner: str | None, n_others: int, difference: Paired | None, *, diverged: int = 0) -> Verdict:
    """One sentence with its spread; `winner` is the best of the first seed in words, None for the default itself.

    `n_others` were tried beside the default; `difference` is the winner's from it in seeds that did not choose it, and
    `diverged` in how many of them it came to no figure.
    """
    if winner is None:
        tried = f"none of {n_others} other settings was better in the first seed"
        return Verdict("tuned", "note", f"The default stays: {tried if n_others else 'nothing else was tried'}.")
    if diverged:
        said = f"The default stays: {winner} diverged in {diverged} of the fresh seeds."
        return Verdict("tuned", "note", said, "A lower rate bears all of them.")
    if difference is None or difference.interval is None:
        said = f"The default stays: {winner} was better in the first seed, which may have been luck, and there was no "
        return Verdict("tuned", "note", f"{said}time for fresh ones.", "More minutes: --resume goes on.")
    low, high = difference.interval
    share = abs(difference.mean) / difference.of if difference.of else 0.0
    seeds = f"{difference.n} pairs of fresh seeds, 95 % interval {-high:.4f} to {-low:.4f}"
    by = f"{abs(difference.mean):.4f} bits per byte"
    if difference.outcome == "better":
        said = f"{winner} needs {by} less than the default ({share:.1%}; {seeds}): more than noise, and recommended."
        return Verdict("tuned", "good", said[:1].upper() + said[1:])
    if difference.mean < 0:
        said = f"The default stays: {winner} was better by {by} ({share:.1%}; {seeds}), which is within noise."
        return Verdict("tuned", "note", said, "More minutes narrow the interval: --resume goes on.")
    return Verdict("tuned", "note", f"The default stays: {winner} was better in the first seed alone ({seeds}).")
