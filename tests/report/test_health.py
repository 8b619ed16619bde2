"""The picture of a run's inside: every number has its place, and no text of a run gets out of it."""

import math
import re

import pytest

from chainrule.report.health import heatmaps
from chainrule.report.heatmap import SHADES, Heatmap, heatmap, number, row_name
from chainrule.run import HealthRecord, append_row

LAYERS = [
    "token_embedding",
    "blocks.0.attention",
    "blocks.0.feed_forward",
    "blocks.1.attention",
    "blocks.1.feed_forward",
]


def write_health(run, steps=40, layers=LAYERS):
    append_row(run.health, {"kind": "layers", "step": 0, "layers": layers, "samples": 4, "sample_tokens": 32})
    for step in range(1, steps + 1):
        column = [0.1 * (place + 1) / math.sqrt(step) for place in range(len(layers))]
        row = dict.fromkeys(("gradient", "gradient_max", "weight"), column)
        append_row(
            run.health,
            {"kind": "norms", "step": step, "n": 1, **row, "ratio": [1e-3] * 5, "ratio_max": [2e-3] * 5, "noise": None},
        )
        if step % 10 == 1:
            heads = {"blocks.0.attention": {"entropy": [0.9, 0.5], "largest_logit": 3.0}}
            units = {"blocks.0.feed_forward.down": [0.45, 0.5]}
            outputs = {"blocks.0": [0.0, step / 10, 3.0, 0.0], "final_norm": [0.0, None, 3.0, 0.0]}
            append_row(
                run.health, {"kind": "inside", "step": step, "outputs": outputs, "units": units, "attention": heads}
            )


def test_a_run_with_health_has_its_pictures_and_findings(run_maker, page_of):
    run = run_maker(steps=40)
    write_health(run)
    page = page_of(run)
    assert re.findall('data-map="(\\w+)"', page) == ["gradient", "ratio", "std", "dead", "entropy"]
    assert "45% of the hidden units of block 0’s feed forward were silent" in page
    assert '<a href="#health">Inside</a>' in page
    assert "style=" not in page


def test_a_run_without_health_has_no_such_part(finished, page_of):
    assert 'id="health"' not in page_of(finished)


def test_names_of_a_run_are_text_and_torn_rows_are_passed_over(run_maker, page_of):
    run = run_maker(steps=40)
    hostile = "<script>alert(1)</script>"
    write_health(run, steps=3, layers=[hostile, *LAYERS[1:]])
    append_row(
        run.health, {"kind": "inside", "step": 4, "outputs": {hostile: [1, 2, 3, 4]}, "units": 3, "attention": []}
    )
    append_row(run.health, {"kind": "norms", "step": 5, "gradient": [hostile]})
    page = page_of(run)
    assert hostile not in page and "&lt;script&gt;alert(1)" in page


def covered(svg):
    """How often each cell is painted, from the rectangles of the paths."""
    found = {}
    for shade, path in re.findall(r'<path class="h(\d+)" d="([^"]*)"', svg):
        for x, y, width, back in re.findall(r"M(\d+) (\d+)h(\d+)v1H(\d+)z", path):
            assert x == back
            for column in range(int(x), int(x) + int(width)):
                found.setdefault((int(y), column), []).append(int(shade))
    return found


def test_every_known_cell_is_painted_once_and_larger_is_farther_from_the_page():
    values = ((1.0, 10.0, 100.0), (None, 3.0, 3.0))
    cells = covered(heatmap(Heatmap("k", "t", ("a", "b"), (1, 2, 3), values, log=True)))
    assert set(cells) == {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2)}
    assert all(len(shades) == 1 for shades in cells.values())
    assert cells[0, 0] == [0] and cells[0, 2] == [SHADES - 1]
    assert cells[0, 0] < cells[1, 1] < cells[0, 1] < cells[0, 2]


@pytest.mark.parametrize("values", [((0.0, 0.0),), ((5.0, 5.0),), ((0.0, 1e-12),), ((None, 2.0),)])
def test_flat_and_empty_tables_are_pictures_too(values):
    for log in (True, False):
        assert covered(heatmap(Heatmap("k", "t", ("a",), (1, 2), values, log=log)))


def test_a_long_run_and_a_deep_model_stay_a_small_picture():
    rows = [
        {name: [1.0 + step % 7] * 51 for name in ("gradient", "gradient_max", "weight", "ratio", "ratio_max")}
        | {"kind": "norms", "step": step + 1}
        for step in range(1000)
    ]
    layers = {"kind": "layers", "step": 0, "layers": [f"blocks.{n}.attention" for n in range(51)]}
    gradient = heatmaps(HealthRecord.of_rows([layers, *rows]))[0]
    assert (len(gradient.steps), len(gradient.cells), gradient.steps[0], gradient.steps[-1]) == (96, 51, 1, 1000)
    assert len(heatmap(gradient)) < 150_000


def test_the_picture_is_told_in_words():
    picture = Heatmap("k", "Gradient norm", ("blocks.0.attention", "head"), (1, 9), ((1.0, 0.5), (2.0, 3.0)))
    said = "steps 1 to 9; at the end largest in head (3), smallest in 0 attention (0.5)"
    assert said in heatmap(picture)


def test_rows_and_numbers_are_short():
    assert [row_name(path) for path in ("blocks.3.feed_forward.down", "blocks.3", "final_norm")] == [
        "3 feed forward",
        "block 3",
        "final norm",
    ]
    assert [number(value) for value in (0.0, 0.00012, 3.14159, 123456.0)] == ["0", "1.2e−4", "3.14", "1.2e5"]
