"""The tour of tensors is run for real, and shows what the issue asks for."""

import json

import pytest
import torch

from chainrule import lens


@pytest.fixture(scope="module")
def tour():
    return lens.tour_of_tensors()


def output(tour, code):
    return next(line.output for section in tour.sections for line in section.lines if line.code.startswith(code))


def test_it_fits_a_hundred_columns_and_json(tour):
    lines = tour.text().splitlines()
    assert max(map(len, lines)) <= 100
    assert len(json.loads(lens.render(tour, "json"))["sections"]) == 9
    assert repr(tour) == tour.text()


def test_what_is_shown_is_what_the_code_gives(tour):
    assert [tour.names[name].ndim for name in ("scalar", "vector", "matrix", "cube")] == [0, 1, 2, 3]
    assert output(tour, "torch.tensor([1, 2, 3]).dtype") == "torch.int64"
    assert output(tour, "torch.tensor([1.0, 2.0]).dtype") == "torch.float32"
    assert output(tour, "matrix.T.view(6)").startswith("RuntimeError: view size is not compatible")
    assert "a write to array changes shared" in output(tour, "lens.shares(array")
    assert "→ breaks" in output(tour, 'lens.explain("x @ y"')
    assert "heatmap" in output(tour, "lens.tensor(torch.randn")


def test_only_the_view_that_cannot_be_is_an_error(tour):
    outputs = [line.output for section in tour.sections for line in section.lines]
    assert sum("Error" in one for one in outputs) == 1


def test_its_gradients_are_those_of_the_one_neuron(tour):
    assert output(tour, "w.grad, b.grad") == "(tensor(-0.0898), tensor(-0.0817))"
    assert tour.names["w"].grad.item() == pytest.approx(2 * -0.08982628, rel=1e-6), "the second backward added"


def test_what_the_sections_speak_of(tour):
    words = " ".join(f"{section.title} {section.words}" for section in tour.sections)
    for subject in ("Ranks", "Dtypes", ".to", "view and reshape", ".T", "Products", "NumPy", "autograd", "Devices"):
        assert subject in words


def test_it_leaves_torch_as_it_was(tour):
    state = torch.random.get_rng_state()
    with torch.no_grad():
        assert lens.tour_of_tensors().text() == tour.text()
    assert torch.equal(torch.random.get_rng_state(), state)
