import torch
from torch import nn

from chainrule.lens import verify
from chainrule.lens.prove import proof_lines


def test_a_loss_of_nan_names_what_came_in_as_nan_or_the_operation_that_made_it():
    layer, x = nn.Linear(4, 4), torch.randn(5, 4)
    holed = x.clone()
    holed[0, 0] = float("nan")
    report = verify(lambda x: layer(x).sin().sum(), holed)
    assert report.verdict == "not proved"
    assert "input x holds NaN in 1 of 20 elements" in report.summary
    report = verify(lambda x: (layer(x) - 100).log().sum(), x)
    assert "first NaN: log.default, operation 3" in report.summary
    assert "test_not_finite.py" in report.summary
    assert "which read self from -1" in report.summary
    report = verify(lambda x: layer(x).sum() / (layer(x) * 0).sum().abs(), x)
    assert "the loss is infinite" in report.summary
    assert "1 zero of 1" in report.summary
    assert proof_lines(report)[-1]


def test_nan_in_both_engines_that_goes_nowhere_is_agreement():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)

    def masked(x):
        seen = torch.eye(5, dtype=torch.bool)
        seen[0] = False
        scores = (first(x) @ second(x).T).masked_fill(~seen, float("-inf"))
        return scores.softmax(-1).nan_to_num().sin().sum() + scores.exp().sum()

    report = verify(masked, torch.randn(5, 4), coordinates=8)
    assert report.ok, report.summary


def test_a_gradient_of_nan_where_the_loss_has_a_slope_is_wrong_and_elsewhere_not_proved():
    weight = nn.Parameter(torch.tensor([0.0, 1.0, 2.0]))
    report = verify(lambda: torch.where(weight > 0.5, weight.log(), weight * 0).sum())
    assert report.verdict == "wrong"
    assert report.place.op == "log.default"
    assert "is not finite" in report.summary
    report = verify(lambda: weight.sqrt().sum())
    assert report.verdict == "not proved"
    assert "first behind sqrt.default" in report.summary
