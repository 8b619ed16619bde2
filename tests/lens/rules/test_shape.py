"""Views, writes in place and types: what the tape must get right before a rule can."""

import pytest
import torch
from lens.agreement import both, largest_errors, recorded
from lens.rules.numbers import normal

from chainrule.lens import record

X = normal(3, 4)


def rectified(x):
    return torch.relu_(x * 1)


def added(x):
    y = x * 2
    y += x
    return y


def written_by_index(x):
    y = x * 2
    y[:, 1] = x[:, 0]
    return y


def through_a_view(x):
    y = x * 2
    y.view(-1)[3:7].mul_(3)
    return y


def through_a_view_of_a_view(x):
    y = x * 2
    y.t()[1:3].t()[0].exp_()
    return y


def a_view_after_its_base(x):
    y = x * 2
    row = y[1]
    y.mul_(3)
    return row


def two_views_that_overlap(x):
    y = x * 2
    left, middle = y[:, :3], y[:, 1:]
    left.mul_(3)
    middle.add_(x[:, 1:])
    return left


def several_writes_before_the_next_use(x):
    y = x + x
    z = y.t()
    z[0] += 1
    z *= 2
    y[:, 1] = x[:, 0]
    return y + z.t()


def neighbours(x):
    first, second = torch.unsafe_split(x * 2, 2, dim=1)
    first.sigmoid_()
    second.tanh_()
    return first * second


def unseen_under_no_grad(x):
    y = x * 2
    with torch.no_grad():
        y.mul_(3)
    return y


def unseen_through_data(x):
    y = x * 2
    y.data.clamp_(-1, 1)
    return y


def unseen_through_detach(x):
    y = x * 2
    y.detach()[0] = 5
    return y + 0


def unseen_through_a_view(x):
    y = x * 2
    row = y[1]
    with torch.no_grad():
        row.mul_(3)
    return row.sum() + y


def other_memory_through_data(x):
    y = x + 2
    y.data = y.data * 3
    return y * x


def a_buffer_that_is_filled(x):
    y = torch.zeros(3, 4, dtype=x.dtype)
    for i in range(3):
        y[i] = x[i] * i
    return y


def constant_written_under_no_grad(x):
    y = torch.zeros(3, 4, dtype=x.dtype)
    with torch.no_grad():
        y.copy_(x)
    return y * x


PROGRAMS = [value for value in dict(globals()).values() if callable(value) and value.__module__ == __name__]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("level", ["op", "core"])
def test_writes_in_place_are_differentiated_as_autograd_does(program, level):
    assert largest_errors(recorded(program, X, level=level))["x"] <= 1e-15


def test_a_value_keeps_its_numbers_when_it_is_overwritten_later():
    y = []

    def program(x):
        y.append(x * 2)
        y[0].view(-1)[:2] = 0
        y[0].mul_(3)
        return y[0].sum()

    tape = record(program, X.clone().requires_grad_())
    numbers = [value.tensor for value in tape.values if value.meta.shape == (3, 4) and value.producer is not None]
    expected = X * 2
    assert torch.equal(numbers[0], expected)
    cleared = expected.clone()
    cleared.view(-1)[:2] = 0
    assert any(torch.equal(one, cleared) for one in numbers[1:])
    assert torch.equal(numbers[-1], cleared * 3)
    assert numbers[-1] is y[0]


def test_between_several_writes_the_values_in_between_are_worked_out():
    def program(x):
        y = x * 2
        first, second = y[0], y[0, :2]
        first.mul_(3)
        second.add_(1)
        return y.sum()

    tape = record(program, X.clone().requires_grad_())
    whole = [value for value in tape.values if value.meta.shape == (3, 4)]
    held = [value.tensor for value in whole if value.name.startswith("write_through")]
    first = X * 2
    first[0] *= 3
    second = first.clone()
    second[0, :2] += 1
    assert torch.equal(held[0], first)
    assert torch.equal(held[1], second)


def test_pieces_beside_each_other_are_no_business_of_each_other():
    tape = record(neighbours, X.clone().requires_grad_(), loss=torch.sum)
    assert "write_through" not in {node.op for node in tape.nodes}


def test_a_gradient_comes_back_in_the_type_and_shape_of_its_argument():
    tape = recorded(lambda x: x.to(torch.bfloat16).float().t().reshape(2, 6), X)
    ours, theirs = both(tape)["x"]
    assert (ours.shape, ours.dtype) == (X.shape, X.dtype)
    assert torch.equal(ours, theirs)
