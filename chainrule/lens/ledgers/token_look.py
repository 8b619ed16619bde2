"""What one token of a text hangs on, by depth of the model and by place of the text, as data and as text."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chainrule.base import count_text
from chainrule.show import table_lines

HEADS = ("module", "arrives", "at the last place", "weights receive")


@dataclass(frozen=True)
class Depth:
    """One module of the outermost level.

    `arrives` is the norm of the loss's gradient by what the module hands on, place by place of the text; `weights` that
    by its own weights, of which there are `n_weights`. Weights that are read twice count where they are named.
    """

    module: str
    arrives: tuple[float, ...]
    weights: float
    n_weights: int

    @property
    def norm(self) -> float:
        """Of the gradient at all places together."""
        return math.hypot(*self.arrives)


@dataclass(frozen=True)
class TokenLook:
    """The last of `ids` after the others: `logprob` in nats, and the walk back from the loss, minus that.

    `depths` go from the loss back to the embedding. `weights` is the norm of the gradient by all weights: a step of
    gradient descent of size ε raises the log-probability by ε · weights², for small ε.
    """

    ids: tuple[int, ...]
    logprob: float
    depths: tuple[Depth, ...]
    weights: float
    n_operations: int
    words: tuple[str, ...] = field(default=(), compare=False)


def token_lines(look: TokenLook) -> Iterator[str]:
    """For a terminal: the modules from the loss back, then the places of the text."""
    told = look.words or tuple(map(str, look.ids))
    yield f"{told[-1]!r} has the probability {math.exp(look.logprob):.4g}: the loss is {-look.logprob:.6g} nats"
    yield f"its gradient by all weights is ‖{look.weights:.4g}‖; {look.n_operations} operations were recorded"
    yield ""
    rows = [(one.module, f"‖{one.norm:.4g}‖", f"‖{one.arrives[-1]:.4g}‖", _received(one)) for one in look.depths]
    yield from table_lines(HEADS, rows, right=HEADS[1:])
    yield ""
    yield "gradient at each place of the text, where the tokens come in:"
    first = look.depths[-1].arrives
    most = max(first)
    places = [(str(place + 1), repr(told[place]), f"‖{one:.4g}‖", _bar(one, most)) for place, one in enumerate(first)]
    yield from table_lines(("#", "token", "gradient", ""), places, right=("#", "gradient"))


def token_facts(look: TokenLook) -> dict[str, Any]:
    """For JSON."""
    return {
        "ids": list(look.ids),
        "tokens": list(look.words),
        "logprob": look.logprob,
        "gradient": look.weights,
        "operations": look.n_operations,
        "depths": [
            {
                "module": one.module,
                "gradient": one.norm,
                "places": list(one.arrives),
                "weights": one.weights,
                "n_weights": one.n_weights,
            }
            for one in look.depths
        ],
    }


def _received(one: Depth) -> str:
    return f"‖{one.weights:.4g}‖ of {count_text(one.n_weights)}" if one.n_weights else ""


def _bar(value: float, most: float) -> str:
    return "█" * round(24 * value / most) if most else ""
