import pytest
import torch
from lens.agreement import both, largest_errors, recorded
from lens.rules.numbers import normal
from torch import nn
from torch.utils.checkpoint import checkpoint

from chainrule.base import LensError
from chainrule.lens import Policy, record, reverse
from chainrule.lens.engine import differentiable
from chainrule.lens.rules import RULES

X = normal(3, 4)


class Doubled(torch.autograd.Function):
    """2x² · t by hand, with a write in place inside, and a wrong backward on request."""

    factor = 1.0

    @staticmethod
    def forward(ctx, x, t):
        ctx.save_for_backward(x, t)
        y = x.clone()
        y *= x
        return 2 * y * t

    @staticmethod
    def backward(ctx, g):
        x, t = ctx.saved_tensors
        return Doubled.factor * g * 4 * x * t, None


class Dirty(torch.autograd.Function):
    """Writes to its input and says so."""

    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, g):
        return 2 * g


class Modern(torch.autograd.Function):
    """The style without a context in the forward pass; its second result has no gradient."""

    @staticmethod
    def forward(x):
        return x * 3, x * 5

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, g, _):
        return 3 * g


def of_a_constant_made_before(x):
    with torch.no_grad():
        t = x * 5
    return Doubled.apply(x * 1.5, t)


def dirty(x):
    y = x * 3
    Dirty.apply(y)
    return y * x


def modern(x):
    y, z = Modern.apply(x)
    return y * z


def constant_block(x):
    with torch.no_grad():
        weight = x.softmax(-1)
    return weight * x


def in_inference_mode(x):
    with torch.inference_mode():
        scale = float((x.detach() * 2).reshape(-1).sum())
    return x * scale


def recomputed(x):
    return checkpoint(lambda z: torch.sigmoid(z * x) * z, x * 2, use_reentrant=False)


def a_value_used_three_times(x):
    y = x * 2
    return y * y + y


PROGRAMS = [of_a_constant_made_before, dirty, modern, constant_block, in_inference_mode, recomputed]


@pytest.mark.parametrize("level", ["op", "core"])
@pytest.mark.parametrize("program", [*PROGRAMS, a_value_used_three_times], ids=lambda program: program.__name__)
def test_gradients_are_those_of_autograd(program, level):
    assert largest_errors(recorded(program, X, level=level))["x"] <= 1e-14


def test_a_wrong_backward_of_a_custom_function_is_a_difference(monkeypatch):
    monkeypatch.setattr(Doubled, "factor", 1 + 1e-9)
    assert 1e-10 < largest_errors(recorded(of_a_constant_made_before, X))["x"] < 1e-8


def test_the_older_checkpoint_is_looked_into_too():
    weight = normal(4, 4, seed=1).requires_grad_()
    tape = recorded(lambda x: checkpoint(lambda z: torch.sigmoid(z @ weight), x, use_reentrant=True), X)
    ours = reverse(tape)
    tape.values[tape.loss].tensor.backward()
    for leaf in tape.leaves():
        torch.testing.assert_close(ours[leaf.id], leaf.tensor.grad, rtol=1e-14, atol=1e-16)


def test_a_leaf_that_was_made_on_the_way_has_a_gradient():
    def program():
        w = torch.tensor(2.2, requires_grad=True)
        b = torch.zeros(1, dtype=torch.float64).requires_grad_()
        return ((w.double() * 1.1 + b).sigmoid() * w).sum()

    tape = record(program)
    assert len(tape.leaves()) == 2
    assert max(largest_errors(tape).values()) <= 1e-7


def test_a_weight_that_was_clamped_before_its_use_receives_the_gradient_of_what_was_used():
    weight = normal(3).requires_grad_()

    def program():
        with torch.no_grad():
            weight.clamp_(-0.5, 0.5)
        return (weight * weight).sum()

    tape = record(program)
    (name,) = [leaf.name for leaf in tape.leaves()]
    ours, theirs = both(tape)[name]
    assert torch.equal(ours, theirs)
    assert torch.equal(ours, 2 * weight.detach())


def test_a_recording_under_no_grad_has_gradients_all_the_same():
    weight = normal(3).requires_grad_()

    def program():
        with torch.no_grad():
            weight.mul_(2)
        return (weight * weight).sum()

    with torch.no_grad():
        tape = record(program)
    (gradient,) = reverse(tape).values()
    assert torch.equal(gradient, 2 * weight.detach())


def test_contributions_add_up_to_what_arrives_and_keep_their_own_numbers():
    steps = []
    tape = recorded(a_value_used_three_times, X)
    reverse(tape, steps.append)
    y = next(value.id for value in tape.values if value.name == "mul")
    shares = [one.gradient for step in steps for one in step.outgoing if one.value == y]
    arrived = next(step.incoming[0] for step in steps if y in step.node.outputs)
    assert len(shares) == 3
    torch.testing.assert_close(sum(shares), arrived, rtol=1e-15, atol=1e-15)
    assert [step.order for step in steps] == list(range(len(steps)))
    assert all(step.independent for step in steps)


def test_a_leaf_without_influence_is_absent_and_a_loss_that_is_a_leaf_has_gradient_one():
    w, unused = torch.tensor(3.0, requires_grad=True), torch.ones(2, requires_grad=True)
    tape = record(lambda w, unused: w, w, unused)
    assert {tape.values[number].name: float(g) for number, g in reverse(tape).items()} == {"w": 1.0}


def test_an_output_that_nobody_used_does_no_harm():
    tape = recorded(lambda x: x.split(2, dim=1)[1].unbind(0)[2], X)
    assert largest_errors(tape)["x"] == 0


def test_what_is_under_no_grad_is_not_differentiated():
    tape = recorded(constant_block, X)
    made = {node.rule_name: tape.values[node.outputs[0]].id in differentiable(tape) for node in tape.nodes}
    assert not made["_softmax"]
    assert made["mul"]


def test_weights_that_were_updated_after_the_recording_are_refused_by_name_before_anything_is_reported():
    model, seen = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), []
    tape = record(model, torch.ones(2, 3), loss=torch.sum)
    tape.values[tape.loss].tensor.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    with pytest.raises(LensError, match=r"0\.weight was changed in place after the recording.*record again"):
        reverse(tape, seen.append)
    assert not seen


def test_an_activation_that_was_overwritten_after_the_recording_is_refused_with_the_place():
    kept = []

    def program(x):
        kept.append(x * 2)
        return kept[0].exp().sum()

    tape = record(program, X.clone().requires_grad_())
    kept[0].detach().zero_()
    with pytest.raises(LensError, match=r"mul was changed .* mul\.Tensor at .*test_reverse\.py:\d+"):
        reverse(tape)


def test_running_statistics_may_go_on_where_no_rule_reads_them_and_are_refused_where_one_does():
    model, x = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2)).double(), X
    tape = record(model, x, loss=lambda y: (y * y.detach()).sum())
    before = reverse(tape)
    model(x)
    after = reverse(tape)
    assert all(torch.equal(before[number], after[number]) for number in before)
    tape = record(model.eval(), x, loss=torch.sum)
    model[1].reset_running_stats()
    with pytest.raises(LensError, match=r"running_mean was changed.*native_batch_norm"):
        reverse(tape)


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        (lambda x: x * 2, r"returned \[3, 4\].*return a scalar loss, or pass loss="),
        (lambda x: (x > 0).sum(), r"returned \[\].*one number"),
        (lambda x: 3.0, "returned no tensor"),
        (lambda x: x.detach().sum(), "does not depend on any parameter"),
    ],
)
def test_what_cannot_be_differentiated_says_why(program, complaint):
    with pytest.raises(LensError, match=complaint):
        reverse(record(program, X.clone().requires_grad_()))


def test_without_anything_that_requires_a_gradient_the_remedy_is_named():
    with pytest.raises(LensError, match=r"call \.requires_grad_\(\)"):
        reverse(record(lambda x: x.sum(), X))


def test_an_operation_without_a_rule_is_named_with_its_place_and_line():
    rules = {name: rule for name, rule in RULES.items() if name != "sigmoid"}
    tape = recorded(nn.Sigmoid(), X)
    with pytest.raises(LensError, match=r"no rule for sigmoid\.default, asked for at .*fallback=True"):
        reverse(tape, policy=Policy(rules))


@pytest.mark.parametrize("keep", ["stats", "boundary"])
def test_a_tape_without_its_tensors_is_refused(keep):
    with pytest.raises(LensError, match="record with keep='all'"):
        reverse(recorded(lambda x: x * 2, X, keep=keep))
