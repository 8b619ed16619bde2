"""Every threshold that a judgement rests on, with where it is from; docs/lens/health.md's table is made of it."""

from dataclasses import dataclass

# Pre-norm keeps the gradients of all blocks within about √n_layers of each other (Xiong et al., arXiv 2002.04745): 7
# for 48 blocks. A hundred is ten times beyond the deepest; at a thousand little of float32's precision is shared.
FAR_BELOW, LOST = 100.0, 1000.0
GROWN, ENOUGH_ROWS = 10.0, 8
# An update of 1e-3 of the weights is the usual rule of thumb (Karpathy's "Neural Networks: Zero to Hero", CS231n). At
# r a layer can be replaced within 1 / r steps: ten at 0.1, three at 0.3, and a thousand steps of 1e-6 change 0.1 %.
FAST, REPLACED, STILL = 0.1, 0.3, 1e-6
# Steps that the noise scale is averaged over before it is worth a sentence; a batch within this factor of it suits.
ENOUGH_NOISE, SUITS = 50, 4.0
# "As much as 40 % of your network can be dead" after too high a learning rate (CS231n notes, neural networks part 1).
DEAD, ALL_DEAD = 0.4, 0.9
# Normalised by that of uniform attention. A single head may well look at one place; a whole layer at 0.1 does so in all
# heads: with 256 places that is exp(0.55) = 1.7 places each (entropy collapse: Zhai et al., arXiv 2303.06296).
COLLAPSED = 0.1
# Heads that look at one place are harmless while they can look elsewhere again: beside a logit of 32 one of 0 weighs
# e^-32, which float32 (2^-24 = e^-17), and so the gradient, no longer sees. Normalised queries and keys reach 8 to 17.
SATURATED = 32.0
# bfloat16 has 8 significant bits: beyond 2^8 its neighbours are 2 apart, so rounding alone is worth up to a factor e
# between two weights. Runs whose logits passed 1e4 diverged (Wortsman et al., arXiv 2309.14322, section 3.1).
COARSE, DIVERGING = 2.0**8, 1e4
# Outputs of a layer whose spread has grown by this factor since the first look; no published bound is known to us.
SPREAD = 100.0
# An untrained model should be nearly as surprised by each token as by a fair die with vocab_size sides. The logits of
# our start have a variance below 0.8, and half of that is what they may add.
START_TOLERANCE = 0.5
# Held-out loss above its best by this share is more than the noise of a look at a quarter of a million tokens.
RISEN = 0.01
# What a model knew before is measured on the same windows at each look, so that a change is no chance of the text. A
# rise of 2 % is what an adapter ought to keep to. By how much is harmless nobody has published; a tenth is our rule.
FORGETS, FORGOT = 0.02, 0.1
# Preference objectives look at differences alone, so that both answers may become unlikely together (Pal et al., arXiv
# 2402.13228; Razin et al., arXiv 2410.08847). By how much is harmless nobody has published; a tenth is a rule of ours.
CHOSEN_FALLEN = 0.1


@dataclass(frozen=True)
class Threshold:
    """A line of the table: the trouble in words, from where on it is one, and the source of that."""

    trouble: str
    limit: str
    source: str


THRESHOLDS = (
    Threshold(
        "vanishing",
        f"a block's gradient is 1/{FAR_BELOW:.0f} of another's (serious: 1/{LOST:.0f}, or 0)",
        "pre-norm blocks stay within about √n_layers, 7 for 48 blocks (Xiong et al., arXiv 2002.04745)",
    ),
    Threshold(
        "exploding",
        f"the gradient of the last tenth of the run is {GROWN:.0f} times that of the first half",
        "a rule of ours",
    ),
    Threshold(
        "updates too fast",
        f"a step moves a layer by {FAST:.0%} of its size (serious: {REPLACED:.0%})".replace("%", " %"),
        "1 / ratio steps can replace the layer; 0.1 % is the usual rule of thumb",
    ),
    Threshold("no movement", f"below {STILL:.0e} of its size a step", "a thousand such steps change 0.1 %"),
    Threshold(
        "dead units",
        f"{DEAD:.0%} of a layer (serious: {ALL_DEAD:.0%})".replace("%", " %"),
        "CS231n's notes: as much as 40 % after a rate that is too high",
    ),
    Threshold(
        "collapsed attention",
        f"all heads of a layer together below {COLLAPSED:g}, and logits of {SATURATED:.0f}",
        "1.7 places out of 256 (Zhai et al., arXiv 2303.06296); below 32 a head can still look elsewhere",
    ),
    Threshold(
        "large logits",
        f"{COARSE:.0f} (serious: {DIVERGING:,.0f})",
        "beyond 2⁸ bfloat16 rounds by whole units; runs diverged from 10⁴ (Wortsman et al., arXiv 2309.14322)",
    ),
    Threshold("growing outputs", f"{SPREAD:.0f} times the spread of the first look", "a rule of ours"),
    Threshold(
        "batch too small or too large",
        f"{SUITS:.0f} times below or above the noise scale",
        "McCandlish et al., arXiv 1812.06162",
    ),
    Threshold(
        "wrong start",
        f"the first loss is more than {START_TOLERANCE:g} away from ln(vocab_size)",
        "the logits of our start have a variance below 0.8, which adds half of that",
    ),
    Threshold(
        "overfitting",
        f"the last two looks lie {RISEN:.0%} above the best".replace("%", " %"),
        "the noise of a look at a quarter of a million tokens is smaller",
    ),
    Threshold(
        "forgetting",
        f"old text needs {FORGETS:.0%} more bits than before (serious: {FORGOT:.0%})".replace("%", " %"),
        "a rule of ours; always the same windows of text, so that no chance of the draw is in it",
    ),
)
