import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import spectral_norm

from chainrule.lens import record, verify
from chainrule.lens.engine import Holding, cuts_of
from chainrule.lens.prove import proof_lines
from chainrule.lens.tape import Forward, RandomState, Subject, same_random_numbers

LAYER, OTHER = nn.Linear(4, 4), nn.Linear(4, 4)


def without_gradient(x):
    with torch.no_grad():
        scale = LAYER(x).std(0).sqrt()
    return (OTHER(x) / scale).sin().sum()


PROGRAMS = {
    "detach": lambda x: (LAYER(x) * LAYER(x).detach()).sum(),
    "data": lambda x: (LAYER(x) * LAYER(x).data).sum(),
    "item": lambda x: (LAYER(x) * LAYER(x).sum().item()).sum(),
    "float": lambda x: (LAYER(x) * float(LAYER(x).detach().sum())).sum(),
    "tolist": lambda x: (LAYER(x) * torch.tensor(LAYER(x).tolist(), dtype=x.dtype)).sum(),
    "numpy": lambda x: (LAYER(x) * torch.from_numpy(LAYER(x).detach().numpy().copy())).sum(),
    "no_grad": without_gradient,
    "detach after a write": lambda x: _scaled((LAYER(x) * 1).relu_()),
    "detach before a write": lambda x: _two_ages((LAYER(x) * 1), torch.Tensor.detach, torch.Tensor.exp_),
    "data before a write": lambda x: _two_ages((LAYER(x) * 1), lambda h: h.data, torch.Tensor.tanh_),
    "copy before a write": lambda x: _two_ages((LAYER(x) * 1), lambda h: h.detach().clone(), torch.Tensor.tanh_),
    "view before a write": lambda x: _two_ages((LAYER(x) * 1), lambda h: h.detach()[:1], torch.Tensor.exp_),
    "numpy before a write": lambda x: _numpy_before(LAYER(x) * 1),
    "straight-through": lambda x: _straight(LAYER(x)).sin().sum(),
    "gumbel": lambda x: (functional.gumbel_softmax(LAYER(x), hard=True) * x).sum(),
}


def _scaled(h):
    return (h * h.detach().sigmoid()).sum()


def _two_ages(h, cut, write):
    """What was cut before memory is written to has the new numbers when it is an alias, the old when it is a copy."""
    early = cut(h)
    write(h)
    return (h * early.sigmoid()).sum()


def _numpy_before(h):
    early = h.detach().numpy()
    h.tanh_()
    return (h * torch.from_numpy(early)).sum()


def _straight(h):
    return h + (h.round() - h).detach()


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_cut_hands_on_is_held_so_that_numbers_agree_and_the_weights_behind_it_are_named(name):
    report = verify(PROGRAMS[name], torch.randn(5, 4), coordinates=8)
    assert report.ok, report.summary
    assert not report.contradictions
    assert any("LAYER.weight" in cut.weights for cut in report.cuts)
    assert all("test_cuts.py" in str(cut) for cut in report.cuts if cut.site.file.endswith("test_cuts.py"))
    shown = " ".join(" ".join(proof_lines(report)).split())
    assert "stops gradients itself" in shown
    assert "get no gradient through it" in shown


def _rows(h):
    y = torch.zeros(4, 4, dtype=h.dtype)
    for i in range(4):
        y[i] = h[i] + (y[i - 1] if i else 0)
    return y


def _some_rows(h):
    y = torch.zeros(4, 4, dtype=h.dtype)
    y[0] = 1.0
    y[1] = h[1]
    y[2] = 2.0
    return y * y


def _rows_beside_an_alias(h):
    y = torch.zeros(4, 4, dtype=h.dtype)
    alias = y.detach()
    y[0], y[1] = h[0], h[1]
    return y + alias.exp()


@pytest.mark.parametrize("fill", [_rows, _some_rows, _rows_beside_an_alias])
def test_rows_that_are_filled_one_by_one_are_no_aliases(fill):
    report = verify(lambda x: fill(LAYER(x)).sum(), torch.randn(5, 4), coordinates=8)
    assert report.verdict == "proved", report.summary


def test_a_fault_behind_an_alias_is_not_passed():
    class Off(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1.0

        @staticmethod
        def backward(ctx, gradient):
            return gradient * 1.001

    report = verify(
        lambda x: _two_ages(Off.apply(LAYER(x)) * 1, torch.Tensor.detach, torch.Tensor.exp_),
        torch.randn(5, 4),
        coordinates=8,
        against=("autograd", "numbers"),
    )
    assert report.verdict == "wrong"

    def program(x):
        h = LAYER(x) * 1
        early = h.data
        h.exp_()
        return (Off.apply(h) * early.sigmoid()).sum()

    named = verify(program, torch.randn(5, 4), coordinates=8)
    assert named.verdict == "wrong" and "custom Function Off" in named.summary, named.summary


def test_a_number_that_is_looked_at_after_the_loss_is_no_cut():
    def logging(x):
        loss = LAYER(x).sin().sum()
        loss.item()
        return loss

    assert not cuts_of(record(logging, torch.randn(5, 4)))


def test_padding_and_kept_norms_and_written_weights_are_held():
    padded, short = nn.Embedding(4, 3, padding_idx=0), nn.Embedding(4, 3, max_norm=0.5)
    ids = torch.tensor([0, 1, 2])
    report = verify(lambda ids: padded(ids).sin().sum(), ids, coordinates=12)
    assert report.ok, report.summary
    assert "padding_idx" in str(report.cuts[0])
    before = short.weight.detach().clone()
    report = verify(lambda ids: short(ids).sin().sum(), ids, coordinates=12)
    assert report.ok, report.summary
    assert torch.equal(short.weight, before)

    def clipped(x):
        with torch.no_grad():
            OTHER.weight.clamp_(-0.3, 0.3).mul_(0.9)
        return OTHER(x).sin().sum()

    kept = OTHER.weight.detach().clone()
    report = verify(clipped, torch.randn(5, 4), coordinates=20)
    assert report.ok, report.summary
    assert torch.equal(OTHER.weight, kept)


def test_spectral_norm_is_proved_with_its_power_iteration_held():
    layer = spectral_norm(nn.Linear(4, 4))
    layer(torch.randn(5, 4))
    report = verify(layer, torch.randn(5, 4), lambda out: out.square().sum(), coordinates=12)
    assert report.ok, report.summary
    assert report.cuts


def test_a_run_that_goes_another_way_is_noticed():
    layer = nn.Linear(4, 4)

    def program(x):
        h = layer(x).detach() * layer(x)
        return (h.sin() if SWITCH else h.cos().exp()).sum()

    SWITCH = [0]
    subject = Subject("program", program, (torch.randn(5, 4),))
    state = RandomState()
    tape = subject.record()
    forward, holding = Forward(subject, state, []), Holding(tape)
    forward.holding = holding
    with same_random_numbers(state):
        assert forward() == pytest.approx(tape.values[tape.loss].tensor.item())
        assert holding.lost is None
        SWITCH.clear()
        forward()
    assert holding.lost.op == "sin.default"
