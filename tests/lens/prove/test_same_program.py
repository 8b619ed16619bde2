import pytest
import torch
from torch import nn
from torch.nn import functional

from chainrule.lens import verify


def test_a_program_that_asks_for_its_number_format_is_not_proved():
    layer = nn.Linear(4, 4)
    report = verify(lambda x: (layer(x) * (2 if x.dtype == torch.float32 else 3)).sum(), torch.randn(5, 4))
    assert report.verdict == "not proved"
    assert "not the same program" in report.summary
    assert "float32" in report.summary


def test_a_complex_weight_keeps_its_imaginary_part():
    weight = nn.Parameter(torch.tensor([3 + 4j, 1 - 1j]))
    report = verify(lambda: (weight * weight.conj()).real.sum(), coordinates=4)
    assert report.ok, report.summary
    assert report.loss == pytest.approx(27)


@pytest.mark.parametrize(
    "draw",
    [
        lambda h: functional.dropout(h, 0.5),
        lambda h: h + torch.randn_like(h),
        lambda h: h + torch.rand(4, dtype=h.dtype),
        lambda h: h + torch.rand(4),
        lambda h: h + torch.empty_like(h).normal_(),
        lambda h: functional.gumbel_softmax(h, hard=True) * h,
        lambda h: functional.scaled_dot_product_attention(h[None], h[None], h[None], dropout_p=0.3),
    ],
)
def test_random_numbers_are_the_same_in_both_formats(draw):
    layer = nn.Linear(4, 4)
    report = verify(lambda x: draw(layer(x)).sin().sum(), torch.randn(5, 4), coordinates=4)
    assert report.ok, report.summary


def test_models_in_bfloat16_and_under_autocast_are_the_same_within_their_rounding():
    layer, x = nn.Linear(16, 4), torch.randn(5, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert verify(lambda x: layer(x).sin().sum(), x, coordinates=4).ok
    narrow = nn.Linear(16, 4).bfloat16()
    assert verify(lambda x: narrow(x).sin().sum(), x.bfloat16(), coordinates=4).ok


def test_a_model_that_is_finite_in_one_format_only_is_told_so():
    layer = nn.Linear(4, 4)

    def overflowing(x):
        return (layer(x).to(x.dtype) * 1e30 * 1e30 * 1e-60).sum()

    report = verify(overflowing, torch.randn(5, 4), coordinates=4)
    assert report.verdict == "not proved"
    assert "in float32" in report.summary
    assert "in float64" in report.summary


def test_what_the_original_changes_in_its_run_is_put_back():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.n, self.seen = nn.Linear(4, 4), 0, []
            self.register_buffer("mean", torch.zeros(4))

        def forward(self, x):
            h = self.layer(x)
            self.n += 1
            self.seen.append(h)
            with torch.no_grad():
                self.mean.lerp_(h.mean(0), 0.1)
            return ((h - self.mean) / self.n).sin().sum()

    model = Counting()
    mean = model.mean
    report = verify(model, torch.randn(5, 4), coordinates=8)
    assert report.ok, report.summary
    assert model.n == 0
    assert not model.seen
    assert model.mean is mean
    assert not mean.any()


def masked(x, mask):
    """The smallest number of the format, twice where two masks meet: a row that is masked whole stays a row."""
    hidden = (1.0 - mask.float()) * torch.finfo(x.dtype).min
    return (x.softmax(-1) + (x + hidden).softmax(-1)).sin()


def test_a_program_that_asks_for_the_limits_of_its_format_is_told_those_it_was_written_for():
    layer, mask = nn.Linear(4, 4), torch.tensor([True, True, False, True])
    report = verify(lambda x: masked(layer(x), mask).sum(), torch.randn(5, 4), coordinates=4)
    assert report.ok, report.summary
    told = []
    assert verify(lambda x: (told.append(torch.finfo(x.dtype).eps), layer(x).sin().sum())[1], torch.randn(5, 4)).ok
    assert set(told) == {torch.finfo(torch.float32).eps}
    assert torch.finfo(torch.float64).eps < 1e-15


def test_a_layer_that_is_made_on_the_way_draws_its_weights_in_every_run():
    """They are drawn in float32, in the copy too, and what is drawn after them goes on from there."""
    layer = nn.Linear(4, 4)

    def program(x):
        made = nn.Linear(4, 4).to(x.dtype)
        return functional.dropout(layer(x) * made(x).detach(), 0.5).sin().sum()

    report = verify(program, torch.randn(5, 4), coordinates=4)
    assert report.ok, report.summary
    assert report.numbers is not None and not report.contradictions
