"""torch's control flow: what is recorded and verified is the program written out."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch._higher_order_ops.map import map as torch_map
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.strict_mode import strict_mode
from torch._higher_order_ops.while_loop import while_loop

from chainrule.base import LensError
from chainrule.lens import record, verify
from chainrule.lens.tape.control_flow import WRITTEN_OUT

torch.manual_seed(0)
LAYER = nn.Linear(4, 4)
X = torch.randn(6, 4)


def step(state, x):
    state = torch.tanh(LAYER(state) + x["x"])
    return state, (2 * state, None if x["x"] is None else x["x"].cos())


def with_cond(x):
    return torch.cond(x.sum() > 0, lambda x: LAYER(x).sin(), lambda x: LAYER(x).cos(), (x,)).sum()


def cond_as_if(x):
    return (LAYER(x).sin() if x.sum() > 0 else LAYER(x).cos()).sum()


def with_scan(x):
    state, (twice, cosines) = scan(step, x.new_zeros(4), {"x": x}, reverse=True)
    return state.sum() + twice.square().sum() + cosines.sum()


def scan_as_loop(x):
    state, made = x.new_zeros(4), []
    for row in x.flip(0):
        state, one = step(state, {"x": row})
        made.append(one)
    twice, cosines = (torch.stack(list(one)).flip(0) for one in zip(*made, strict=True))
    return state.sum() + twice.square().sum() + cosines.sum()


def with_map(x):
    return torch_map(lambda row, y: LAYER(row * y).exp(), x, x[0]).sum()


def map_as_loop(x):
    return torch.stack([LAYER(row * x[0]).exp() for row in x]).sum()


def with_while(x):
    return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, LAYER(x).tanh()), (torch.tensor(0), x))[1].sum()


def while_as_loop(x):
    for _ in range(3):
        x = LAYER(x).tanh()
    return x.sum()


PAIRS = [(with_cond, cond_as_if), (with_scan, scan_as_loop), (with_map, map_as_loop), (with_while, while_as_loop)]


@pytest.mark.parametrize(("program", "written_out"), PAIRS, ids=[one.__name__ for one, _ in PAIRS])
def test_control_flow_is_verified_as_the_python_that_it_stands_for(program, written_out):
    report = verify(program, X, coordinates=4, seconds=1)
    assert report.verdict == "proved"
    assert report.loss == pytest.approx(written_out(X).item(), rel=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_of_cond_the_branch_that_was_taken_is_recorded(sign):
    x = sign * X.abs()
    ops = {node.op for node in record(with_cond, x).nodes}
    assert ("sin.default" in ops) is (sign == 1)
    assert ("cos.default" in ops) is (sign == -1)


def test_the_branch_stays_when_numbers_move_what_it_was_chosen_by():
    """At the edge itself a moved weight would take the other branch, whose value is another one altogether."""

    def edge(w):
        return torch.cond(w.sum() > 1e-9, lambda w: w.sin(), lambda w: w.cos() + 5, (w,)).sum()

    w = torch.tensor([0.5, -0.5 + 1e-8], dtype=torch.float64, requires_grad=True)
    report = verify(edge, w, coordinates=2, seconds=1)
    assert report.verdict == "proved"
    assert report.numbers is not None and not report.contradictions


def test_afterwards_torch_has_its_own_operations_back():
    before = [getattr(owner, name) for owner, name, _ in WRITTEN_OUT]
    record(with_cond, X)
    with pytest.raises(ZeroDivisionError):
        record(lambda x: x / (1 // 0), X)
    assert [getattr(owner, name) for owner, name, _ in WRITTEN_OUT] == before


COMPILED = """
import torch
from torch import nn
from torch._higher_order_ops.scan import scan
from chainrule.lens import verify
torch.manual_seed(0)
layer, x = nn.Linear(4, 4).double(), torch.randn(3, 4, dtype=torch.float64)
def step(h, x):
    h = torch.tanh(layer(h) + x)
    return h, 2 * h
def program(x):
    h, y = scan(step, x.new_zeros(4), torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (layer(x),)))
    return h.sum() + y.square().sum()
report = verify(program, x, coordinates=2, seconds=1)
assert report.verdict == "proved", report.summary
theirs = torch.autograd.grad(program(x), list(layer.parameters()))
ours = [report.tape.named(name) for name in ("layer.weight", "layer.bias")]
found = torch.autograd.grad(report.tape.values[report.tape.loss].tensor, [one.tensor for one in ours])
for one, other in zip(theirs, found): torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
print("same")
"""


@pytest.mark.slow
def test_torch_differentiates_its_own_control_flow_alike():
    """What torch compiles, and how it goes back through it, against the program written out: `make proof`."""
    done = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, timeout=110)
    assert done.stdout.strip() == "same", done.stderr[-2000:]


def test_another_operation_on_functions_is_refused_by_its_name():
    with pytest.raises(LensError, match=r"uses torch's strict_mode.*call the function itself"):
        record(lambda x: strict_mode(LAYER, (x,)).sum(), X)
