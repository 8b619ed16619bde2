"""Quantities read as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.base import (
    ConfigError,
    bytes_text,
    count_text,
    duration_text,
    parse_bytes,
    parse_count,
    parse_minutes,
    ratio_text,
    speed_text,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("124M", 124 * 10**6),
        ("1.5e6", 1_500_000),
        ("10_000", 10_000),
        ("3B", 3 * 10**9),
        (" 300k ", 300_000),
        (7, 7),
        ("0.5k", 500),
    ],
)
def test_a_count_as_people_write_it(text, value):
    assert parse_count(text) == value


@pytest.mark.parametrize("text", ["", "many", "-5", "1.5", "1e400", "nan", "5 kg", "0x10", "1..2", "M"])
def test_what_is_no_count_is_refused(text):
    with pytest.raises(ConfigError, match="is not a"):
        parse_count(text)


@given(st.integers(0, 9 * 10**14))
def test_a_printed_count_reads_back_within_three_digits(value):
    printed = count_text(value)
    assert float(printed.rstrip("kMBT")) < 1000
    assert parse_count(printed) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    ("value", "text"), [(124_412_160, "124M"), (950, "950"), (999_999, "1M"), (1_557_611_200, "1.56B"), (0.25, "0.25")]
)
def test_counts_have_the_fields_suffixes(value, text):
    assert count_text(value) == text


@pytest.mark.parametrize(("value", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB")])
def test_bytes_are_binary(value, text):
    assert bytes_text(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "0.25 s"),
        (75, "1 min 15 s"),
        (90_000, "1 d 1 h"),
        (3600, "1 h"),
        (59.4, "59 s"),
        (59.7, "1 min"),
        (3599.7, "1 h"),
        (86370, "23 h 59 min"),
        (86399.9, "1 d"),
    ],
)
def test_durations_have_two_units(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("5", 5),
        (0.5, 0.5),
        ("5m", 5),
        ("5 min", 5),
        ("90s", 1.5),
        ("1h", 60),
        ("1h30", 90),
        ("1h 30min", 90),
        ("2d", 2880),
    ],
)
def test_a_time_as_people_write_it(text, minutes):
    assert parse_minutes(text) == pytest.approx(minutes)


@pytest.mark.parametrize("text", ["", "m", "1:30", "5 5", "5x", "-5", "nan", "inf", "five"])
def test_what_is_no_time_is_refused_with_examples(text):
    with pytest.raises(ConfigError, match=r"write minutes such as 5 or 0\.5, or 90s"):
        parse_minutes(text)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0166, "0.017"),
        (0.3, "0.3"),
        (2.13, "2.1"),
        (9.96, "10"),
        (60.2, "60"),
        (1234.4, "1,234"),
        (0.0, "0"),
        (1.0, "1"),
    ],
)
def test_a_ratio_keeps_two_digits_that_say_something(value, said):
    assert ratio_text(value) == said


def test_a_speed_is_told_from_the_side_from_which_it_can_be_read():
    said = [speed_text(ratio, "float32") for ratio in (1 / 60, 0.004, 0.5, 0.99, 2.13, 60)]
    assert said == [
        "60 times slower than float32",
        "250 times slower than float32",
        "2 times slower than float32",
        "as fast as float32",
        "2.1 times as fast as float32",
        "60 times as fast as float32",
    ]


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("8G", 8 * 10**9), ("8GB", 8 * 10**9), ("8 GiB", 8 * 2**30), ("1.5MiB", 1536 * 1024), ("500", 500), ("500B", 500)],
)
def test_bytes_are_read_in_both_units(text, n_bytes):
    assert parse_bytes(text) == n_bytes


@pytest.mark.parametrize("text", ["8 parsecs", "GB", "", "-1GB", "8GBB", "1e400GiB"])
def test_what_is_no_number_of_bytes_is_refused(text):
    with pytest.raises(ConfigError):
        parse_bytes(text)
