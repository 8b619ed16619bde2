"""Sizes that grow from one: what grows, what is said of it, and one of them for real."""

import time
from dataclasses import astuple

import pytest

from chainrule.bench.asked import Asked
from chainrule.bench.contest import Reading
from chainrule.bench.grown import grown_steps, timed
from chainrule.bench.growth import BASE, SHORT_BASE, TIMES, growth, prepared, request, verdicts
from chainrule.data import open_dataset
from chainrule.plan import flops_per_token, memory_bytes


@pytest.fixture
def asked(tmp_path) -> Asked:
    """Enough text that a tenth of it has a window of ten times the context."""
    text = tmp_path / "long.txt"
    text.write_text("".join(f"{number * 37 % 1009} foxes jumped over {number % 7} dogs;\n" for number in range(4000)))
    return Asked(text, tmp_path, "float32", 1, 1e11, short=True)


def test_each_of_five_grows_alone():
    grown = [BASE.grown(name, times) for name in ("layers", "width", "context", "batch", "text") for times in TIMES]
    for place, size in enumerate(grown):
        ratios = [one / other for one, other in zip(astuple(size), astuple(BASE), strict=True)]
        assert sorted(ratios) == [1, 1, 1, 1, TIMES[place % 2]]
        assert ratios[place // 2] == TIMES[place % 2]


def test_sizes_that_are_slow_or_larger_than_planned_are_named():
    def reading(share, planned, peak):
        return Reading(share, 1.0, 1.0, tokens_per_second=9.0, planned_bytes=planned, peak_bytes=peak)

    *lines, speed, memory = verdicts(
        {
            "base": [reading(50, 100, 100), reading(70, 100, 100), reading(60, 100, 100)],
            "width × 10": [reading(74, 109, 100)],
            "layers × 10": [reading(80, 111, 100)],
            "batch × 10": [reading(63, 89, 100)],
        }
    )
    assert "75% of the best share" in lines[0] and "(+9%)" in lines[1]
    assert speed == "shares of the peak within 20% of the best: NOT base, batch × 10"
    assert memory == "memory within 10% of the plan: NOT layers × 10, batch × 10"
    without = Reading(1.0, 1.0, 1.0, tokens_per_second=9.0, planned_bytes=2**20)
    assert verdicts({"base": [without]})[-2:] == (
        "shares of the peak within 20% of the best: all",
        "memory within 10% of the plan: all",
    )


def test_a_size_is_trained_as_a_run_does_and_its_memory_stands_beside_the_plan(asked):
    (contest,) = growth(asked)
    assert len(contest.sides) == 1 + 5 * len(TIMES)
    size = SHORT_BASE.grown("batch", 10).grown("context", 3)
    data = prepared(asked, 3)
    reading = grown_steps({**request(asked, size, data), "threads": 1})
    config = size.config(open_dataset(data).manifest.vocab_size)
    # All 20 windows of 48 go through at once.
    assert reading.planned_bytes == memory_bytes(config, micro_batch=20, precision="float32").total
    assert reading.peak_bytes is None or reading.peak_bytes > 2**26
    share = 100 * reading.tokens_per_second * flops_per_token(config.model) / asked.peak_flops
    assert reading.figure == pytest.approx(share)
    # Shares are of all threads: by the processor's time of one thread they are those by the clock, or a little more.
    assert reading.by_cpu > 0.5 * reading.figure


def test_a_text_is_a_part_of_the_one_that_was_given(asked):
    tokens = [open_dataset(prepared(asked, tenths)).manifest.tokens("train") for tenths in (1, 10)]
    assert 8 < tokens[1] / tokens[0] < 12


def test_timing_leaves_the_first_update_out_and_ends_when_the_time_is_over():
    made = []
    wall, cpu = timed(made.append, 0.0)
    assert made == [0, 1, 2] and len(wall) == len(cpu) == 2
    wall, _ = timed(lambda number: time.sleep(0.02), 0.1)
    assert 4 <= len(wall) <= 5 and sum(wall) >= 0.1
