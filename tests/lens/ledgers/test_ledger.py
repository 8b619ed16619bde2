"""The ledger is the chain rule: what it writes down multiplies and adds up."""

import pytest
import torch
from torch import nn

from chainrule.base import LensError
from chainrule.lens import Policy, ledger, network, neuron, record
from chainrule.lens.ledgers import ledger_facts, shown_names
from chainrule.lens.ledgers.cells import FEW, cell


@pytest.fixture(params=[neuron, network], ids=["neuron", "network"])
def book(request):
    return ledger(request.param().record())


def test_what_comes_in_is_the_sum_of_what_went_out(book):
    sent: dict[int, torch.Tensor] = {}
    for row in book.rows:
        output = book.tape.nodes[row.node].outputs[0]
        if output in sent:
            torch.testing.assert_close(row.incoming.elements, sent[output])
        for part in row.parts:
            sent[part.value] = sent.get(part.value, 0) + part.outgoing.elements
    for leaf in book.leaves:
        torch.testing.assert_close(leaf.gradient.elements, sent[leaf.value])


def test_incoming_times_local_is_outgoing(book):
    seen = [(row, part) for row in book.rows for part in row.parts if part.local is not None]
    assert len(seen) >= 3
    for row, part in seen:
        product = row.incoming.elements * part.local.elements
        torch.testing.assert_close(product.reshape(part.outgoing.shape), part.outgoing.elements)


def test_the_leaves_have_autograds_gradients():
    subject = network()
    found = ledger(subject.record())
    model = subject.target.__self__
    model.loss(*subject.inputs).backward()
    gradients = {found.tape.values[leaf.value].name: leaf.gradient for leaf in found.leaves}
    assert set(gradients) == {name for name, _ in model.named_parameters()}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name].elements, parameter.grad, rtol=0, atol=1e-15)


def test_rows_come_in_reverse_order_from_a_gradient_of_one(book):
    assert [row.order for row in book.rows] == list(range(len(book.rows)))
    nodes = [row.node for row in book.rows]
    assert nodes == sorted(nodes, reverse=True)
    assert book.rows[0].incoming.number == 1


def test_the_neurons_numbers_are_the_classic_ones():
    found = ledger(neuron().record())
    parts = {part.letter: part for part in found.rows[0].parts}
    assert found.rows[0].name == "loss" and found.rows[0].value.number == pytest.approx(0.085188, abs=1e-6)
    assert parts["a"].outgoing.number == pytest.approx(-1.088922, abs=1e-6)
    gradients = {found.tape.values[leaf.value].name: leaf.gradient.number for leaf in found.leaves}
    assert gradients == pytest.approx({"w": -0.08982628100775408, "b": -0.08166025546159461}, abs=1e-16)


def used_three_times(x):
    doubled = x * x
    return (doubled + x).sum()


def test_a_value_used_often_has_every_contribution_and_their_sum():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    found = ledger(record(used_three_times, x))
    (leaf,) = found.leaves
    norms = sorted(part.norm for _, _, part in leaf.meeting.contributions)
    assert norms == pytest.approx(sorted([2**0.5, 5**0.5, 5**0.5]))  # 1 from the sum, x from each factor
    assert leaf.meeting.total.elements.tolist() == [3.0, 5.0]
    assert all(row.meetings == () for row in found.rows)


def inner_sum(x):
    u = x * 2
    return (u * u + u).sum()


def test_a_sum_inside_stands_at_the_row_of_the_value():
    found = ledger(record(inner_sum, torch.tensor(3.0, requires_grad=True)))
    (meeting,) = [meeting for row in found.rows for meeting in row.meetings]
    assert len(meeting.contributions) == 3
    assert meeting.total.number == sum(part.number for _, _, part in meeting.contributions) == 13


def several_names(x):
    first, second = x.split(1)
    plain = torch.exp(first) * second
    answer: torch.Tensor = plain.sum()
    return answer


def test_values_are_called_as_the_program_calls_them():
    tape = record(several_names, torch.tensor([1.0, 2.0], requires_grad=True))
    names = shown_names(tape)
    assert [names[output] for node in tape.nodes for output in node.outputs] == [
        *("first", "second"),
        "exp",  # not the last operation of its line
        "plain",
        "answer",
    ]


def test_a_transposed_weight_is_called_so():
    tape = network().record()
    assert "hidden.weightᵀ" in shown_names(tape).values()


def test_what_the_loss_does_not_reach_is_named():
    model = nn.ModuleDict({"used": nn.Linear(2, 1), "idle": nn.Linear(2, 1)})
    found = ledger(record(lambda x, layers: layers["used"](x).sum(), torch.ones(1, 2), model))
    assert [found.tape.values[value].name for value in found.unreached] == [
        "layers.idle.weight",
        "layers.idle.bias",
    ]


def test_a_large_tensor_keeps_its_norm_and_not_its_elements():
    large = torch.ones(FEW + 1)
    assert cell(large).elements is None and cell(large, stats=False).stats is None
    assert cell(large).norm == pytest.approx((FEW + 1) ** 0.5)
    small = torch.ones(FEW)
    kept = cell(small).elements
    small.zero_()
    assert kept.sum() == FEW


def test_facts_hold_every_row_and_gradient():
    found = ledger(network().record(), coordinate=("hidden", (1, 2)))
    facts = ledger_facts(found)
    assert len(facts["rows"]) == len(found.rows) and set(facts["gradients"]) >= {"hidden.weight", "out.bias"}
    assert facts["coordinate"]["gradient"] == found.coordinate.gradient
    assert facts["loss"] == facts["rows"][0]["value"]["number"]


def test_an_operation_without_a_rule_is_refused_and_on_request_marked():
    with pytest.raises(LensError, match="no rule for binary_cross_entropy"):
        ledger(neuron().record(), policy=Policy({}))
    found = ledger(neuron().record(), policy=Policy({}, fallback=True))
    assert not any(row.independent for row in found.rows)
    assert {found.tape.values[leaf.value].name for leaf in found.leaves} == {"w", "b"}
