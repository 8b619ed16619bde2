"""The picture's numbers are the tape's and the walk's own."""

from types import SimpleNamespace

import pytest
import torch

from chainrule.base import LensError
from chainrule.lens import ledger, network, picture, record, reverse


def test_gradients_are_those_of_the_walk_back(gpt, of_gpt):
    for value, gradient in reverse(gpt).items():
        seen = of_gpt.values[value].gradient
        assert seen.norm == pytest.approx(float(gradient.double().norm()), rel=1e-12)
        assert seen.largest == float(gradient.max())


def test_the_steps_are_the_rows_of_the_ledger(gpt, of_gpt):
    book = ledger(gpt)
    assert [step.op for step in of_gpt.steps] == [row.node for row in book.rows]
    assert all(of_gpt.ops[step.op].step == step.order for step in of_gpt.steps)
    again = picture(gpt, book, title="gpt")
    assert again == of_gpt


def test_contributions_that_meet_add_up(of_gpt):
    met = [value for value in of_gpt.values if value.met]
    assert len(met) >= 4  # the residual stream twice in each block, and the tied embedding
    for value in met:
        assert value.gradient.norm <= sum(one.norm for one in value.met) * (1 + 1e-6)
        assert {one.op for one in value.met} <= set(value.read_by)


def test_the_neuron_is_said_as_on_paper(of_neuron):
    assert [op.saying for op in of_neuron.ops][:3] == ["u = x · w", "z = u + b", "a = sigmoid(z)"]
    last = of_neuron.steps[-1]
    assert last.incoming * last.parts[0].local == last.parts[0].number


def test_values_alone_need_neither_loss_nor_rules():
    shown = picture(record(lambda x: torch.linalg.qr(x)[0], torch.randn(3, 3)), backward=False)
    assert not shown.steps and all(value.gradient is None for value in shown.values)
    with pytest.raises(LensError, match="scalar loss"):
        picture(record(lambda x: x * 2, torch.randn(3, 3)))


def test_statistics_alone_make_a_picture():
    tape = network().record(keep="stats")
    shown = picture(tape, backward=False)
    assert all(value.value.norm is not None for value in shown.values)


def test_memory_that_was_never_set_has_no_value():
    shown = picture(record(lambda x: torch.empty_like(x).copy_(x).sum(), torch.ones(2, requires_grad=True)))
    blank = next(op for op in shown.ops if op.rule == "empty_like")
    assert shown.values[blank.makes[0]].value is None


def test_a_verification_is_carried_over():
    tape = network().record()
    report = SimpleNamespace(
        verdict="wrong", summary="wrong", suspect=2, node_errors={2: 0.0, 1: 0.3}, tolerance_of={2: 1e-12, 1: 1e-12}
    )
    shown = picture(tape, verified=report)
    assert (shown.verdict, shown.suspect) == ("wrong", 2)
    assert [(op.error, op.tolerance) for op in shown.ops][:3] == [(None, None), (0.3, 1e-12), (0.0, 1e-12)]


def test_a_followed_element_is_drawn_with_the_numbers_of_the_ledger(gpt):
    book = ledger(gpt, coordinate=("blocks.0.attention.qkv", (3, 7)), stats=False)
    drawn = picture(gpt, book).followed
    assert (drawn.index, drawn.gradient) == ((3, 7), book.coordinate.gradient)
    assert [term.op for term in drawn.terms] == [step.node for step in book.coordinate.steps]
    assert drawn.terms[-1].total == book.coordinate.gradient
    assert picture(gpt).followed is None
