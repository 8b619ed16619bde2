"""Curves as SVG: round numbers on the axes, everything inside the picture, and text that stays text."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.show import Axes, Curve, document, grid, line_chart
from chainrule.show.chart import HEIGHT, WIDTH, round_steps

AXES = Axes("Title", "across", "up")
NUMBERS = st.floats(-1e6, 1e6)


@given(low=NUMBERS, width=st.floats(1e-3, 1e6))
def test_steps_are_round_inside_and_few(low, width):
    steps = round_steps(low, low + width)
    assert len(steps) <= 8
    assert all(low - 1e-6 * width - 1e-6 <= step <= low + width * 1.000001 + 1e-6 for step in steps)
    apart = {f"{b - a:.3e}"[0] for a, b in pairwise(steps)}
    assert len(steps) < 2 or apart <= {"1", "2", "5", "9", "4"}  # 9.999e+n is 1e+(n+1)


@given(points=st.lists(st.tuples(st.floats(1e-3, 1e6), st.floats(0.1, 1e3)), min_size=1), log=st.booleans())
def test_every_point_lies_inside_the_picture(points, log):
    drawn = line_chart([Curve("a", points, [0.1] * len(points), dots=True)], Axes("t", "x", "y", log=log))
    places = [float(number) for number in re.findall(r'c[xy]="(-?[0-9.]+)"', drawn)]
    assert places and all(0 <= place <= max(WIDTH, HEIGHT) for place in places)
    assert "nan" not in drawn


def test_spread_is_a_band_around_a_line_and_a_bar_at_points():
    points = [(1.0, 2.0), (2.0, 1.0)]
    assert "polygon" in line_chart([Curve("a", points, [0.1, 0.2])], AXES)
    bars = line_chart([Curve("a", points, [0.1, 0.2], dots=True, line=False)], AXES)
    assert "polygon" not in bars and "<path" not in bars and bars.count("<circle") == 2
    assert line_chart([Curve("a", [])], AXES) == ""


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", '" onload=alert(1) x="', "</style>"])
def test_names_stay_text(hostile):
    chart = line_chart([Curve(hostile, [(0.0, 1.0)])], Axes(hostile, hostile, hostile))
    page = document(hostile, chart, grid((hostile,), [(hostile,)]))
    assert (
        "<script" not in page and page.count("</style>") == 1 and " onload=" not in page.replace("&quot; onload=", "")
    )
    assert re.search(r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'", page.replace("&#x27;", "'"))
