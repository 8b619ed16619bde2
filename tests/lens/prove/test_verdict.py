"""Three words: proved, wrong with a place, not proved with a reason; and numbers that accuse nobody who is right."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from chainrule.lens import Policy, verify
from chainrule.lens.prove import proof_facts, proof_lines

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
FALLBACK = Policy(fallback=True)


def text(report):
    return " ".join(" ".join(proof_lines(report)).split())


@pytest.fixture
def calibration(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("lens_calibration", BENCHMARKS / "lens_calibration.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "lens_calibration", module)
    spec.loader.exec_module(module)
    return module


def test_no_right_program_is_accused(calibration):
    for number, program in enumerate(calibration.right_programs(8, seed=0)):
        word, summary = calibration.judged(program, coordinates=4, seed=number)
        assert word == "proved", (program.name, summary)


@pytest.mark.parametrize("rules", [True, False], ids=["with the rules", "by numbers alone"])
def test_no_planted_fault_is_passed(calibration, rules):
    for number, program in enumerate(calibration.faulty_programs(6, seed=0, rules=rules)):
        word, _ = calibration.judged(program, coordinates=8, seed=number, rules=rules)
        assert word == "wrong", (program.name, program.faulty)


@pytest.mark.parametrize("seed", range(4))
def test_a_network_with_many_kinks_is_proved_and_its_numbers_are_exact(seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(288, 10))
    targets = torch.randint(0, 10, (8,))
    report = verify(model, torch.randn(8, 1, 14, 14), lambda out: functional.cross_entropy(out, targets), coordinates=4)
    assert report.verdict == "proved", report.summary
    assert len(report.numbers.directions) == 3
    assert all(check.telling and check.error("rules") < 1e-6 for check in report.numbers.directions)


def test_a_stiff_function_is_not_accused():
    layer, norm, row = nn.Linear(6, 6), nn.LayerNorm(6, eps=1e-12), nn.Parameter(torch.zeros(1, 6))

    def program(x):
        return (norm(torch.cat([row, layer(x)])) * torch.arange(6.0)).sum().square()

    report = verify(program, torch.randn(3, 6), coordinates=6)
    assert report.verdict == "proved", report.summary
    near = nn.Parameter(torch.randn(3, 6))
    report = verify(lambda x: functional.pairwise_distance(near, x).sum(), near.detach() + 1e-7, coordinates=6)
    assert report.verdict == "proved", report.summary


def test_a_point_on_a_corner_is_a_remark_and_no_fault():
    weight = nn.Parameter(torch.tensor([0.0, 1.0, -1.0]))
    x = torch.tensor([1.0, 2.0, 3.0])
    for program in (lambda x: (weight.relu() * x).sum(), lambda x: (weight.clamp(0, 1) * x).sum()):
        report = verify(program, x)
        assert report.verdict == "proved", report.summary
        assert any(check.state == "corner" for check in report.numbers.remarks)
        assert "on a corner, no fault" in text(report)


def test_where_every_number_is_on_a_corner_nothing_is_proved_by_them():
    weight = nn.Parameter(torch.zeros(3))
    report = verify(lambda x: (weight.relu() * x).sum(), torch.ones(3))
    assert report.verdict == "not proved"
    assert "numbers" in report.summary
    assert not report.ok


def test_a_function_with_steps_between_is_proved_on_its_piece():
    layer = nn.Linear(6, 6)
    x = torch.randn(4, 6)
    for program in (
        lambda x: (layer(x).round() * layer(x)).sum(),
        lambda x: (layer(x).argmax(-1) * layer(x)[:, 0]).sum(),
        lambda x: (layer(x).sort(-1).values * torch.arange(6)).sum(),
    ):
        assert verify(program, x, coordinates=4).verdict == "proved"


def raw_ctc():
    scores = nn.Parameter(torch.randn(8, 2, 5))
    lengths = torch.tensor([8, 8]), torch.tensor([3, 3])
    return lambda t: functional.ctc_loss(scores, t, *lengths), torch.randint(1, 5, (2, 3)), "_ctc_loss.Tensor"


def repeated_index():
    weight = nn.Parameter(torch.rand(4) + 0.5)

    def program(i):
        return torch.zeros(3, dtype=weight.dtype).index_put((i,), weight).square().sum() + weight.sin().sum()

    return program, torch.tensor([0, 0, 1, 2]), "index_put.default"


def repeated_scatter():
    weight = nn.Parameter(torch.rand(4) + 0.5)

    def program(i):
        return torch.zeros(3, dtype=weight.dtype).scatter(0, i, weight.exp()).square().sum()

    return program, torch.tensor([0, 0, 1, 2]), "scatter.src"


def test_a_gradient_that_torch_has_wrong_is_named_by_its_own_rule():
    program, batch, op = raw_ctc()
    report = verify(program, batch, coordinates=4)
    assert report.verdict == "wrong" and not report.gradients_agree and report.place.op == op


@pytest.mark.parametrize("made", [repeated_index, repeated_scatter])
def test_numbers_that_contradict_both_engines_name_the_operation(made):
    torch.manual_seed(1)
    program, batch, op = made()
    report = verify(program, batch, policy=FALLBACK, coordinates=8)
    assert report.verdict == "wrong"
    assert report.gradients_agree
    assert report.place.op == op
    assert report.place.by_numbers
    assert report.place.site.file.endswith("test_verdict.py")
    assert report.tape.nodes[report.suspect].op == op
    assert "numbers contradict both" in text(report)


class Scaled(torch.autograd.Function):
    """A gradient that is a thousandth too large."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return g * 1.001


@pytest.mark.parametrize("seconds", [0.05, 0.2, 1])
def test_a_thousandth_is_never_passed_however_little_time_there_is(seconds):
    torch.manual_seed(0)
    first, last = nn.Linear(6, 8), nn.Linear(8, 1)

    def program(x, scaled):
        return last(scaled(first(x).float().tanh()).to(x.dtype)).square().mean()

    x = torch.randn(5, 6)
    wrong = verify(lambda x: program(x, Scaled.apply), x, seconds=seconds, coordinates=8)
    right = verify(lambda x: program(x, torch.clone), x, seconds=seconds, coordinates=8)
    assert wrong.verdict == "wrong"
    assert wrong.place.function == "Scaled"
    assert right.verdict == "proved"
    assert min(wrong.n_samples, right.n_samples) >= 3
    assert len(right.numbers.coordinates) == 8


def test_a_limit_as_wide_as_a_thousandth_proves_nothing():
    layer = nn.Linear(6, 6)
    report = verify(lambda x: layer(x).bfloat16().double().sin().mean(), torch.randn(8, 6), coordinates=4)
    assert report.verdict == "not proved"
    assert "bfloat16" in report.summary
    assert any("could hide an error" in point for point in report.open_points)
    assert "? " in text(report)


def test_a_gradient_that_is_zero_by_construction_is_named_and_not_the_largest_error():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1))
    report = verify(model, torch.randn(8, 4), lambda out: out.square().mean(), coordinates=8)
    assert [one.name for one in report.zeros] == ["0.bias"]
    assert report.worst_parameter.error < 1e-12
    assert report.worst_in_limits < 1
    assert "Zero by construction" in text(report)
    assert "largest error over its limit" in report.summary
    assert "-0.0e+00" not in text(report)
    facts = json.loads(json.dumps(proof_facts(report)))
    assert facts["verdict"] == "proved"
    assert next(one for one in facts["parameters"] if one["name"] == "0.bias")["zero"]


SATURATED = {
    "sigmoid": lambda w: (w + 40).sigmoid().sum(),
    "tanh": lambda w: (w - 25).tanh().sum(),
    "expm1": lambda w: (w - 40).expm1().sum(),
    "cross_entropy": lambda w: functional.cross_entropy(
        torch.stack([w + 50, w * 0], 1), torch.zeros(5, dtype=torch.long)
    ),
}


@pytest.mark.parametrize("name", SATURATED)
def test_a_gradient_lost_in_a_saturated_tail_is_never_proved(name):
    """Autograd's formula makes it of a result that has rounded to 1: it gives 0 where the rules give the true value."""
    weight = nn.Parameter(torch.linspace(-1, 1, 5))
    report = verify(lambda _: SATURATED[name](weight), torch.zeros(1), coordinates=4)
    assert report.verdict != "proved"
    assert report.worst_parameter.error == pytest.approx(1.0, abs=0.5)


def test_half_way_into_the_tail_the_limit_says_how_many_digits_are_left():
    weight = nn.Parameter(torch.linspace(-1, 1, 5))
    report = verify(lambda _: (weight + 20).sigmoid().sum(), torch.zeros(1), coordinates=4)
    assert report.gradients_agree
    assert 1e-10 < report.worst_parameter.error < report.worst_parameter.tolerance.limit < 1e-5


def test_reports_of_less_time_say_what_more_would_give():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(40, 400), nn.GELU(), nn.Linear(400, 1))
    report = verify(model, torch.randn(64, 40), lambda out: out.square().mean(), seconds=1e-6, coordinates=10)
    assert report.n_samples == 3
    assert report.seconds_left_out > 0
    assert "More time would narrow the limits" in text(report)
