"""A step in several ways: right ones are not accused, a wrong backward is found in each, and a wrong compiler named."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from chainrule import lens
from chainrule.base import LensError
from chainrule.cli import main
from chainrule.lens.prove.ways import USUAL, WAYS

HERE = Path(__file__).resolve().parents[3]
# The compiler without its code generator: seconds instead of minutes, and the way through torch is the same.
QUICK = {name: replace(way, backend="aot_eager") for name, way in WAYS.items() if name != "device"}
needs_compiler = pytest.mark.skipif(not shutil.which("g++") and not shutil.which("clang++"), reason="needs C++")


class Doubled(torch.autograd.Function):
    """Twice what is given; the gradient is a tenth too large."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2.2


def operation(name, backward):
    """x·σ(x) as an operation of one's own, with a registered backward."""

    @torch.library.custom_op(f"chainrule_tests::{name}", mutates_args=())
    def silu(x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)

    silu.register_fake(torch.empty_like)
    silu.register_autograd(
        lambda ctx, g: backward(g, *ctx.saved_tensors),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    return silu


def right(g, x):
    y = torch.sigmoid(x)
    return g * (y + x * y * (1 - y))


RIGHT = operation("silu_right", right)
WRONG = operation("silu_without_a_term", lambda g, x: g * torch.sigmoid(x))


class Small(nn.Module):
    def __init__(self, activation, drop=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.drop = nn.Linear(6, 8), nn.Linear(8, 3), nn.Dropout(drop)
        self.activation = activation

    def forward(self, x):
        return self.last(self.drop(self.activation(self.first(x))))


def checked(model, ways=QUICK, **options):
    x = torch.randn(16, 6, generator=torch.Generator().manual_seed(1))
    return lens.check(model, x, lambda y: y.square().mean(), ways=ways, **options)


def test_a_right_step_is_proved_in_each_way_with_dropout_too():
    model = Small(functional.gelu, drop=0.2)
    found = checked(model)
    assert found.verdict == "proved", found.advice
    assert found.exit_code == 0
    assert [one.name for one in found.ways] == list(QUICK)
    assert all(len(one.report.parameters) == 4 for one in found.ways)
    assert found["bfloat16"].worst.tolerance.limit > 1e3 * found["eager"].worst.tolerance.limit
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("activation", [Doubled.apply, WRONG], ids=["Function", "torch.library"])
def test_a_wrong_backward_is_found_in_each_way(activation):
    found = checked(Small(activation))
    assert found.exit_code == 1
    for one in found.ways:
        assert one.verdict == "wrong", (one.name, one.reason)
        assert {parameter.name for parameter in one.wrong} == {"first.weight", "first.bias"}
    assert found.advice.startswith("first.")
    assert "chainrule lens verify" in found.advice
    with pytest.raises(LensError, match="first"):
        found.raise_for_errors()


def test_an_operation_brought_along_is_judged_by_differences_of_its_forward():
    assert checked(Small(RIGHT), {"eager": WAYS["eager"]}).verdict == "proved"


def test_what_cannot_be_judged_has_a_reason_and_exit_code_3():
    @torch.library.custom_op("chainrule_tests::floors", mutates_args=())
    def floors(x: torch.Tensor) -> torch.Tensor:
        return torch.floor(x * 1e6) / 1e6

    floors.register_autograd(lambda ctx, g: g)
    found = checked(Small(floors), ["eager"])
    assert (found.verdict, found.exit_code) == ("not proved", 3)
    assert "do not settle" in found["eager"].reason
    large = lens.check(Small(RIGHT), torch.randn(600, 6), lambda y: y.mean(), ways=["eager"])
    assert "a smaller batch" in large.advice


def test_recurrent_layers_are_judged_and_a_loss_that_is_no_number_is_not():
    torch.manual_seed(0)
    found = lens.check(nn.LSTM(4, 5), torch.randn(3, 2, 4), lambda out: out[0].square().mean(), ways=["eager"])
    assert found.verdict == "proved", found.advice
    found = lens.check(nn.Linear(3, 3), torch.full((2, 3), torch.nan), lambda y: y.square().mean(), ways=["eager"])
    assert (found.exit_code, found["eager"].reason[:15]) == (3, "the loss is nan")


def test_limits_from_too_few_repetitions_prove_nothing():
    found = checked(Small(functional.gelu), ["eager", "bfloat16"], seconds=1e-6)
    if found["bfloat16"].report.n_samples == 1:
        assert (found.exit_code, found["bfloat16"].verdict) == (3, "not proved")
        assert "of 8 repetitions had time: --seconds" in found["bfloat16"].reason
    for one in found.ways:
        assert one.verdict == "not proved" or one.worst.tolerance.limit <= 0.5


def test_what_is_not_here_is_left_out_unless_it_was_named():
    if torch.accelerator.is_available():
        pytest.skip("there is another device")
    named = checked(Small(functional.gelu), ["device"])
    assert (named.exit_code, named["device"].verdict) == (3, "not proved")
    assert "no other device" in named.advice
    assert "device" in USUAL


def test_a_step_that_does_not_compile_is_not_proved():
    def broken(graph, inputs):
        raise RuntimeError("no kernel for that")

    torch._dynamo.register_backend(broken, name="chainrule_broken")
    found = checked(Small(functional.gelu), {"compiled": replace(WAYS["compiled"], backend="chainrule_broken")})
    assert found.exit_code == 3
    assert "no kernel for that" in found["compiled"].reason


def test_a_compiler_that_changes_a_gradient_is_named_and_the_model_is_not():
    def halves(graph, inputs):
        lookup = torch._dynamo.lookup_backend("aot_eager")(graph, inputs)
        return lambda *given: [one * 1.5 - (one * 0.5).detach() for one in lookup(*given)]

    torch._dynamo.register_backend(halves, name="chainrule_halves")
    found = checked(
        Small(functional.gelu),
        {"eager": WAYS["eager"], "compiled": replace(WAYS["compiled"], backend="chainrule_halves")},
    )
    assert [one.verdict for one in found.ways] == ["proved", "wrong"]
    assert f"torch.compile of torch {torch.__version__} makes it wrong, not your model" in found.advice


def test_unknown_ways_and_times_are_refused():
    with pytest.raises(LensError, match=r"'eagre' is no way to run a step\. Did you mean 'eager'"):
        checked(Small(functional.gelu), ["eagre"])
    with pytest.raises(LensError, match="no way was named"):
        checked(Small(functional.gelu), [])
    with pytest.raises(LensError, match="no time"):
        checked(Small(functional.gelu), seconds=0)


def test_it_fits_a_hundred_columns_and_json():
    found = checked(nn.Sequential(*(Small(functional.gelu).requires_grad_() for _ in range(1))))
    lines = lens.render(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert any(line.startswith("0.first.weight") for line in lines)
    facts = json.loads(lens.render(found, "json"))
    assert [one["verdict"] for one in facts["ways"]] == ["proved"] * len(QUICK)
    assert facts["ways"][0]["report"]["parameters"][0]["name"] == "0.first.weight"


# Small programs in the spirit of public reports of silently wrong compiled gradients, by the name that the compiler's
# tracker has for them, with the versions of torch in which they were seen to be wrong. In others they are right: what
# the check must do is to agree with a plain look at both gradients.
def diagonal(x, y):  # pytorch #182012, #183602: 2.11.0; right in 2.13.0
    return torch.diagonal_scatter(x, y[0], 0).sum()


def slice_in_the_way(x, y):  # pytorch #180164, #180772: 2.11; right in 2.13.0
    return torch.slice_scatter(x, y[:, :2], dim=1, start=0, end=2).sum(dim=1).sum()


def written_twice(x, y):  # pytorch #136662: 2.4.1; right in 2.13.0
    z = torch.zeros_like(x)
    z[:, 0] += x[:, 2].abs()
    z[:, 0] += x[:, 2].abs() * y[:, 0]
    return z.sum()


def shared_shift(x, y):  # pytorch #193061: 2.10.0 to 2.12 on a GPU; right in 2.13.0 on a CPU
    scale, shift, scale_too, shift_too = y.reshape(-1)[:20].chunk(4)
    one = torch.tanh(functional.layer_norm(x, (5,)) * (1 + scale) + shift)
    return (functional.layer_norm(x + one, (5,)) * (1 + scale_too) + shift_too).square().mean()


def pooled_or_not(x, y):  # pytorch #185509: 2.12; right in 2.13.0
    image = functional.interpolate(x[None, None], scale_factor=(1.5, 1.25), mode="bilinear", align_corners=False)
    conv = functional.conv2d(image[..., 1:7, 1:6], y[None, None, :3, :3], padding=1)
    pool = functional.max_pool2d(conv, 3, 1, 1)
    return torch.where(conv.detach() > pool.detach().mean(), conv, pool).square().sum()


def least_angle(x, y):  # pytorch #186799: wrong in 2.13.0 on a CPU, up to 0.6 of the gradient
    return torch.atan2(x, y).amin(-1).sum()


REPORTED = (diagonal, slice_in_the_way, written_twice, shared_shift, pooled_or_not, least_angle)


class Held(nn.Module):
    """Both tensors as weights."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.x, self.y, self.function = nn.Parameter(torch.randn(5, 5)), nn.Parameter(torch.randn(5, 5)), function

    def forward(self):
        return self.function(self.x, self.y)


def plainly(model, run):
    model.zero_grad()
    run().backward()
    return [weight.grad.clone() for weight in model.parameters()]


@needs_compiler
@pytest.mark.filterwarnings("ignore")  # the compiler's, of its own inside
@pytest.mark.slow  # the compiler's code generator takes seconds for each
@pytest.mark.parametrize("function", REPORTED, ids=lambda one: one.__name__)
def test_silently_wrong_compiled_gradients_that_were_reported_are_found_where_they_still_are(function):
    torch.compiler.reset()
    model = Held(function)
    pairs = zip(plainly(model, model), plainly(model, torch.compile(model)), strict=True)
    same = all(torch.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in pairs)
    found = lens.check(model, ways=("eager", "compiled"), policy=lens.Policy(fallback=True))
    assert found["eager"].verdict == "proved", found["eager"].reason
    assert found["compiled"].verdict == ("proved" if same else "wrong"), found.advice
    if function is least_angle and torch.__version__.startswith("2.13.0"):
        assert not same
        assert "not your model" in found.advice


@needs_compiler
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_the_story_on_the_page_is_what_the_command_prints(capsys):
    torch.compiler.reset()
    code = main(["lens", "check", str(HERE / "examples" / "lens_compiled.py") + ":make_model"])
    printed = capsys.readouterr().out
    if not torch.__version__.startswith("2.13.0+cpu") or code == 0:
        pytest.skip("the page tells of torch 2.13.0 on a CPU")
    page = (HERE / "docs" / "lens" / "check.md").read_text(encoding="utf-8")
    for block in re.findall(r"```text\n(.*?)\n```", page, re.S):
        assert block in printed
