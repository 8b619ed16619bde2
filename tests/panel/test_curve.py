import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.panel.curve import Canvas, Series, Window, loss_window

points = st.lists(st.tuples(st.floats(0, 100), st.floats(1e-3, 100)), min_size=1, max_size=50)


def drawn(canvas):
    return ["".join(character for character, _ in row) for row in canvas.rows()]


@given(points, st.integers(1, 60), st.integers(1, 20))
def test_whatever_is_drawn_stays_inside_the_canvas(line, width, height):
    line = sorted(line)
    canvas = Canvas(width, height, loss_window(line, [], 100))
    canvas.line(line, "train")
    canvas.marks(line, "held-out")
    assert [len(row) for row in drawn(canvas)] == [width] * height
    assert all(0 <= x < width and 0 <= y < height for x, y in canvas.cells)
    assert "held-out" in canvas.owners.values()


def test_dots_lie_where_the_points_are():
    for value, expected in ((100, "⠉⠉"), (1, "⣀⣀")):
        canvas = Canvas(2, 1, Window(0, 3, 1, 100))
        canvas.line([(0, value), (3, value)], "train")
        assert drawn(canvas) == [expected]
    canvas = Canvas(9, 9, Window(0, 1, 1, 100))
    canvas.line([(0, 100), (1, 1)], "train")
    assert all(row[place] != " " and not row[place + 2 :].strip() for place, row in enumerate(drawn(canvas)))


def test_the_height_goes_by_ratios():
    window = Window(0, 1, 1, 100)
    assert window.share(10) == pytest.approx(0.5)
    assert [window.value(share) for share in (0, 0.5, 1)] == pytest.approx([100, 10, 1])
    assert (window.share(1000), window.share(1e-9)) == (0, 1)


def test_the_first_fall_leaves_the_window_once_a_tenth_is_done():
    line = [(x, 2 + 6 * math.exp(-x / 2)) for x in range(51)]
    assert loss_window(line[:5], [], 100).top > 8
    assert loss_window(line, [], 100).top < 4
    assert loss_window([], [], 100) == Window(0, 100, 1, 10)


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=10_000))
def test_a_series_forgets_detail_but_not_the_mean(values):
    series = Series()
    for x, y in enumerate(values):
        series.add(x, y)
    kept = series.all()
    assert len(kept) <= 2049
    assert min(values) - 1e-9 <= min(y for _, y in kept) <= max(y for _, y in kept) <= max(values) + 1e-9


@pytest.mark.parametrize(
    ("bottom", "top", "most", "ticks"),
    [(1.5, 9.2, 4, [8, 6, 4, 2]), (2.41, 2.58, 4, [2.55, 2.5, 2.45]), (0.0012, 0.0071, 3, [0.006, 0.004, 0.002])],
)
def test_the_scale_has_round_numbers(bottom, top, most, ticks):
    assert Window(0, 1, bottom, top).ticks(most) == pytest.approx(ticks)


@given(st.floats(1e-4, 1e3), st.floats(1.01, 1e4), st.integers(2, 12))
def test_the_scale_has_at_most_so_many_numbers_and_all_lie_in_the_window(bottom, ratio, most):
    ticks = Window(0, 1, bottom, bottom * ratio).ticks(most)
    assert len(ticks) <= most and all(bottom * 0.999 <= tick <= bottom * ratio * 1.001 for tick in ticks)
