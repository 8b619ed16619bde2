"""Where a run will end, foretold on the way."""

import json
import math
from pathlib import Path

import pytest

from chainrule.plan import expected_on_the_way, foretell_end
from chainrule.plan.ending import SHARES, _shares

RUNS = Path(__file__).parents[2] / "benchmarks" / "more_minutes.jsonl"


def looks(upto: float, total: int = 10_000, n: int = 20) -> list[tuple[int, float]]:
    """A curve that falls as a power of the tokens."""
    places = [round(total * (k + 1) / n) for k in range(n)]
    return [(at, 5.0 * at**-0.1) for at in places if at <= upto * total]


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_of_a_power_of_the_tokens_the_known_share_is_drawn_on_to_its_end(share: float) -> None:
    told = foretell_end(looks(share), 10_000)
    end = 5.0 * (share * 10_000) ** -0.1 * share ** (0.1 * _shares(share)[0])
    assert told is not None and math.isclose(told.value, end, rel_tol=1e-9)
    assert told.low < told.value < told.high


def test_the_interval_narrows_on_the_way() -> None:
    early, late = foretell_end(looks(0.3), 10_000), foretell_end(looks(0.9), 10_000)
    assert early and late and late.high - late.low < early.high - early.low


@pytest.mark.parametrize(
    "found",
    [
        [],
        looks(0.15),
        looks(1.0),
        looks(0.5)[-2:],
        [(at, value + at / 100) for at, value in looks(0.5)],
        [(at, math.nan) for at, _ in looks(0.5)],
    ],
    ids=["none", "too early", "at the end", "two looks", "rising", "not finite"],
)
def test_nothing_is_said_where_nothing_can_be(found: list[tuple[int, float]]) -> None:
    assert foretell_end(found, 10_000) is None


def test_what_was_expected_on_the_way_is_what_was_told_there() -> None:
    told = dict(expected_on_the_way(looks(1.0), 10_000))
    assert [round(place, 2) for place in told] == [0.2, 0.5]
    assert told[0.2] == foretell_end(looks(0.2), 10_000)


def test_the_share_of_the_fall_changes_in_a_line_between_places() -> None:
    one, two, between = (_shares(place) for place in (0.4, 0.6, 0.5))
    assert between == pytest.approx([(a + b) / 2 for a, b in zip(one, two, strict=True)])
    assert _shares(0.1) == SHARES[0][1:] and _shares(1.0) == SHARES[-1][1:]


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
def test_nine_of_ten_real_runs_end_in_the_interval(place: float) -> None:
    """Of 25, whose looks were kept (benchmarks/more_minutes.py): the shares were chosen on them."""
    held = said = 0
    for line in RUNS.read_text("utf-8").splitlines():
        seen = json.loads(line)["looks"]
        if not seen:
            continue
        total, end = seen[-1]
        told = foretell_end([look for look in seen if look[0] <= place * total + 1], total)
        assert told is not None
        held, said = held + (told.low <= end <= told.high), said + 1
    assert said == 25 and held >= 0.9 * said
