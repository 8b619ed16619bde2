"""Whether an untrained model starts as one should: nearly as surprised as by a fair die."""

import math

from chainrule.verdict.thresholds import START_TOLERANCE
from chainrule.verdict.verdicts import Verdict


def judge_start(loss: float, vocab_size: int) -> Verdict:
    """The first loss of an untrained model (nats per token), training or held out, against ln(vocab_size)."""
    guess = math.log(vocab_size)
    said = f"The first loss was {loss:.2f}; guessing among {vocab_size:,} entries costs ln {vocab_size} = {guess:.2f}."
    if not math.isfinite(loss):
        remedy = "The forward pass gives non-finite numbers: look at the first weights and at the device's arithmetic."
        return Verdict("start", "bad", said, remedy)
    if abs(loss - guess) <= START_TOLERANCE:
        return Verdict("start", "good", f"{said} The model began as an untrained one should.")
    if loss > guess:
        remedy = "Its first logits are too far from zero: the weights start too large, or a scale is missing."
        return Verdict("start", "bad", f"{said} A start this high is worse than guessing.", remedy)
    remedy = "Pretrained weights, or text that is easy; if neither, targets leak into the inputs."
    return Verdict("start", "note", f"{said} The model began with knowledge.", remedy)
