"""Published laws: what loss a model of so many parameters reaches after so many tokens, and how it is best trained.

Losses are nats a token of web text with a vocabulary of some 32,000: another text has other constants, which
`chainrule ladder` measures. `parameters` is N and `tokens` is D throughout; training takes 6 N D operations.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from chainrule.base import ConfigError

FLOPS = 6.0  # a parameter and token, forward and backward (Kaplan et al., arXiv 2001.08361)
# Models between which a law is looked for: a bracket for the search, far beyond all that it was fitted to.
LEAST_PARAMETERS, MOST_PARAMETERS = 1e3, 1e15
# Halvings of that bracket: until it is a millionth of a parameter's share.
SEARCH_STEPS = 120
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class LossLaw:
    """L = E + A / N^alpha + B / D^beta (Hoffmann et al., arXiv 2203.15556), with what a repeated text is worth.

    Of D tokens of a text with U of its own, R = D / U - 1 readings more than one are worth U (1 + R_D (1 - e^(-R /
    R_D))) new ones, and parameters beyond the best number for U likewise with R_N (Muennighoff et al., arXiv
    2305.16264). Where a law has no such constants, Muennighoff's are taken.
    """

    E: float
    A: float
    alpha: float
    B: float
    beta: float
    source: str
    repeats: float = 15.387756
    excess: float = 5.309743

    def loss(self, parameters: float, tokens: float, unique: float | None = None) -> float:
        """Nats a token after `tokens` of a text that has `unique` of its own; None: as many as are wanted."""
        n, d = self.worth(parameters, tokens, unique)
        return self.E + self.A / n**self.alpha + self.B / d**self.beta

    def worth(self, parameters: float, tokens: float, unique: float | None = None) -> tuple[float, float]:
        """Parameters and tokens of new text that would do as much."""
        if unique is None or tokens <= unique:
            return parameters, tokens
        most = min(parameters, self.parameters_for(unique))
        more, again = parameters / most - 1, tokens / unique - 1
        n = most * (1 + self.excess * -math.expm1(-more / self.excess))
        return n, unique * (1 + self.repeats * -math.expm1(-again / self.repeats))

    def parameters_for(self, tokens: float) -> float:
        """The best number of parameters where there are so many tokens, all new."""
        ratio = self.alpha * self.A / (self.beta * self.B)
        g = ratio ** (1 / (self.alpha + self.beta))
        return float((tokens * g) ** (self.beta / self.alpha) * g)

    def best(self, compute: float, unique: float | None = None) -> "Allocation":
        """Parameters and tokens with the lowest loss for so many operations."""

        def loss(log_n: float) -> float:
            return self.loss(math.exp(log_n), compute / FLOPS / math.exp(log_n), unique)

        n = math.exp(_lowest(loss, math.log(LEAST_PARAMETERS), math.log(MOST_PARAMETERS)))
        return Allocation(n, compute / FLOPS / n, self.loss(n, compute / FLOPS / n, unique))

    def best_for_loss(self, loss: float, unique: float | None = None) -> "Allocation":
        """The fewest operations that reach a loss; raises ConfigError for one that none reaches."""
        low, high = math.log(1e9), math.log(1e40)
        least = self.best(math.exp(high), unique).loss
        if loss <= least:
            why = "no model and text are large enough" if unique is None else f"{unique:,.0f} tokens of text end there"
            raise ConfigError(
                f"a loss of {loss:g} is not reached: by {self.source} {why}; the lowest is {least:.3f}. "
                "Ask for a higher loss" + ("" if unique is None else " or give more text")
            )
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.best(math.exp(middle), unique).loss > loss else (low, middle)
        return self.best(math.exp(high), unique)


@dataclass(frozen=True)
class Allocation:
    """How operations are spent: on parameters and tokens, and the loss that a law gives for it."""

    parameters: float
    tokens: float
    loss: float

    @property
    def compute(self) -> float:
        """Operations of the whole training."""
        return FLOPS * self.parameters * self.tokens


# Rounded as printed; the unrounded ones are not published, and these fit the paper's own points badly (Besiroglu).
HOFFMANN = LossLaw(1.69, 406.4, 0.34, 410.7, 0.28, "Hoffmann et al. 2022 (arXiv 2203.15556)")
# Refitted to 240 points read off Hoffmann's figure 4: models of 57M to 16B. Errors: E 0.03, A 125, B 1293, both
# exponents 0.02. benchmarks/scaling_laws.py makes the fit again.
EPOCH = LossLaw(1.8172, 482.01, 0.3478, 2085.43, 0.3658, "Besiroglu et al. 2024 (arXiv 2404.10102)")
# Fitted to C4 and to runs that repeat it: exponents in common, and what a repetition is worth.
MUENNIGHOFF = LossLaw(
    math.exp(0.6254804), math.exp(6.255414), 0.3526596, math.exp(7.3049974), 0.3526596, "Muennighoff et al. 2023 "
    "(arXiv 2305.16264)",
)  # fmt: skip
# What held-out points were off by, of Epoch's with 13 to 130 times the computation that the law was fitted to: the mean
# is 1 %, and nine of ten are within this share (benchmarks/scaling_laws.py). A text of another kind is off by more.
LAW_SHARE = 0.025


def law_for(tokens: float, unique: float | None) -> LossLaw:
    """Epoch's refit, and Muennighoff's law whole where a text is read more than once."""
    return EPOCH if unique is None or tokens <= unique else MUENNIGHOFF


def step_law(parameters: float, tokens: float) -> tuple[float, float]:
    """Peak learning rate of AdamW and tokens of an update: 1.79 N^-0.713 D^0.307 and 0.58 D^0.571.

    `parameters` without embeddings. Li et al., arXiv 2503.04715: 3,700 runs of 60M to 1B parameters and 2 to 100
    billion tokens, with a cosine that falls to 1e-5; the constants are the mean of their 1,000 bootstrap fits.
    """
    return 1.797 * parameters**-0.713 * tokens**0.307, 0.581 * tokens**0.571


def _lowest(value: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with a single valley is lowest (golden section)."""
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = value(left), value(right)
    for _ in range(SEARCH_STEPS):
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = value(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = value(right)
    return (low + high) / 2
