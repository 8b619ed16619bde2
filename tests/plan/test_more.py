"""What more time would give: an interval that grows with the way, and silence where nobody can tell."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.plan import foretell
from chainrule.plan.more import FULL_EPOCHS, MOST_EPOCHS, MOST_TIMES, final_slope

LOOKS = [(0, 8.0), *((50_000 * n, 2.0 * (50_000 * n) ** -0.1) for n in range(1, 21))]
ENDED, LAST = 1_000_000, LOOKS[-1][1]
PLENTY = 10**12


@given(exponent=st.floats(0.01, 0.5), level=st.floats(0.5, 8), shift=st.floats(0.5, 2))
def test_the_slope_of_a_power_law_is_its_exponent_at_any_level(exponent, level, shift):
    looks = [(round(10_000 * n * shift), level * (round(10_000 * n * shift)) ** -exponent) for n in range(1, 21)]
    assert final_slope(looks) == pytest.approx(exponent)


@given(st.floats(1.05, MOST_TIMES), st.floats(1.0, 2.0))
def test_more_time_never_foretells_less_and_its_interval_grows_with_the_way(times, farther):
    told = foretell(LAST, LOOKS, ENDED, ENDED * (times - 1), PLENTY)
    assert told is not None and told.low < told.bits_per_byte < told.high
    assert told.bits_per_byte < LAST
    more = foretell(LAST, LOOKS, ENDED, ENDED * (min(times * farther, MOST_TIMES) - 1), PLENTY)
    assert more is not None and more.bits_per_byte <= told.bits_per_byte
    assert math.log(more.high / more.low) >= math.log(told.high / told.low) - 1e-12


def test_text_that_is_read_again_is_worth_less_and_beyond_four_readings_may_be_worth_nothing():
    fresh, again, often = (foretell(LAST, LOOKS, ENDED, 2 * ENDED, unique) for unique in (PLENTY, ENDED, ENDED // 2))
    assert fresh and again and often
    assert fresh.bits_per_byte < again.bits_per_byte < often.bits_per_byte
    assert 3 * ENDED <= FULL_EPOCHS * ENDED and again.high < LAST < often.high


@pytest.mark.parametrize(
    ("bits", "looks", "more", "unique"),
    [
        (LAST, LOOKS[:4], ENDED, PLENTY),
        (LAST, [], ENDED, PLENTY),
        (LAST, [(tokens, 2.0 + 1e-7 * tokens) for tokens, _ in LOOKS], ENDED, PLENTY),
        (LAST, [(tokens, math.nan) for tokens, _ in LOOKS], ENDED, PLENTY),
        (math.nan, LOOKS, ENDED, PLENTY),
        (math.inf, LOOKS, ENDED, PLENTY),
        (LAST, LOOKS, 0, PLENTY),
        (LAST, LOOKS, math.inf, PLENTY),
        (LAST, LOOKS, ENDED * MOST_TIMES, PLENTY),
        (LAST, LOOKS, ENDED, 2 * ENDED // MOST_EPOCHS - 1),
        (LAST, LOOKS, ENDED, 0),
    ],
)
def test_nothing_is_said_where_nothing_sensible_can_be(bits, looks, more, unique):
    assert foretell(LAST, LOOKS, ENDED, ENDED, PLENTY) is not None
    assert foretell(bits, looks, ENDED, more, unique) is None
