import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.config import ScheduleConfig
from chainrule.optim import rate_factor, window_pieces
from chainrule.optim.schedule import SCHEDULES


@given(
    kind=st.sampled_from(sorted(SCHEDULES)),
    steps=st.integers(1, 500),
    warmup=st.floats(0, 1),
    decay=st.floats(0, 1),
    floor=st.floats(0, 1),
)
def test_every_factor_of_every_schedule_is_above_nothing_and_at_most_one(kind, steps, warmup, decay, floor):
    schedule = ScheduleConfig(kind=kind, warmup_share=warmup, decay_share=decay, floor=floor)
    factors = [rate_factor(step, steps, schedule) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


@pytest.mark.parametrize("kind", sorted(SCHEDULES))
def test_the_warm_up_rises_in_a_line_to_the_peak(kind):
    schedule = ScheduleConfig(kind=kind, warmup_share=0.1)
    assert [rate_factor(step, 100, schedule) for step in range(10)] == pytest.approx([i / 10 for i in range(1, 11)])


def test_the_schedules_follow_their_formulas():
    cosine = ScheduleConfig(kind="cosine", warmup_share=0, floor=0.1)
    assert rate_factor(50, 100, cosine) == pytest.approx(0.55)
    wsd = ScheduleConfig(kind="wsd", warmup_share=0, decay_share=0.2, floor=0)
    assert [rate_factor(step, 100, wsd) for step in (0, 79, 80, 90, 99)] == pytest.approx([1, 1, 1, 0.5, 0.05])


@given(
    doublings=st.integers(0, 5),
    steps=st.integers(1, 500),
    share=st.floats(0, 1),
)
def test_windows_only_grow_and_are_whole_when_their_share_of_the_steps_is_over(doublings, steps, share):
    schedule = ScheduleConfig(first_window=8, grow_share=share)
    pieces = [window_pieces(step, steps, schedule, 8 * 2**doublings) for step in range(steps)]
    assert set(pieces) <= {2**k for k in range(doublings + 1)}
    assert pieces == sorted(pieces, reverse=True)
    assert all(one == 1 for step, one in enumerate(pieces) if step >= share * steps)
    if share * steps >= 1:
        assert pieces[0] == 2**doublings


def test_each_length_of_window_has_its_turn():
    schedule = ScheduleConfig(first_window=64, grow_share=0.5)
    assert [window_pieces(step, 100, schedule, 256) for step in (0, 24, 25, 49, 50, 99)] == [4, 4, 2, 2, 1, 1]
    assert window_pieces(0, 100, ScheduleConfig(), 256) == 1
