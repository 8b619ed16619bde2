"""Where a run will end, foretold on the way."""

import math

import pytest

from chainrule.plan import foretell_end


def looks(upto: float, total: int = 10_000, n: int = 20) -> list[tuple[int, float]]:
    """A curve that falls as a power of the tokens."""
    places = [round(total * (k + 1) / n) for k in range(n)]
    return [(at, 5.0 * at**-0.1) for at in places if at <= upto * total]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_power_of_the_tokens_is_drawn_on_to_its_end(share: float) -> None:
    told = foretell_end(looks(share), 10_000)
    assert told is not None and math.isclose(told.value, 5.0 * 10_000**-0.1, rel_tol=1e-9)
    assert told.low < told.value < told.high


def test_the_interval_narrows_on_the_way() -> None:
    early, late = foretell_end(looks(0.3), 10_000), foretell_end(looks(0.9), 10_000)
    assert early and late and late.high - late.low < early.high - early.low


@pytest.mark.parametrize(
    "found",
    [
        [],
        looks(0.2),
        looks(1.0),
        looks(0.5)[-3:],
        [(at, value + at / 100) for at, value in looks(0.5)],
        [(at, math.nan) for at, _ in looks(0.5)],
    ],
    ids=["none", "too early", "at the end", "three looks", "rising", "not finite"],
)
def test_nothing_is_said_where_nothing_can_be(found: list[tuple[int, float]]) -> None:
    assert foretell_end(found, 10_000) is None
