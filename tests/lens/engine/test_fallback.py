import pytest
import torch
from lens.agreement import both, recorded
from lens.rules.numbers import normal

from chainrule.lens import Policy, reverse
from chainrule.lens.rules import RULES

X, ROW = normal(3, 4), normal(4, seed=1)

PROGRAMS = {
    "sigmoid": lambda x: torch.sigmoid(x * 2),
    "cat": lambda x: torch.cat([x, x.t().reshape(3, 4) * 2]),
    "split": lambda x: x.split(3, 1)[1] * x[:, :1],
    "mul": lambda x: (x * 1).mul_(x),
    "native_layer_norm": lambda x: torch.nn.functional.layer_norm(x, (4,), ROW),
    "addmm": lambda x: torch.addmm(ROW, x, x.t() @ x),
    "index": lambda x: x[torch.tensor([0, 0, 2])],
}


@pytest.mark.parametrize("missing", PROGRAMS)
def test_an_operation_without_a_rule_is_differentiated_by_autograd_and_marked(missing):
    rules = {name: rule for name, rule in RULES.items() if name != missing}
    tape, steps = recorded(PROGRAMS[missing], X), []
    (found,) = reverse(tape, steps.append, policy=Policy(rules, fallback=True)).values()
    _, theirs = both(tape)["x"]
    torch.testing.assert_close(found, theirs, rtol=1e-14, atol=1e-14)
    assert {step.node.rule_name for step in steps if not step.independent} == {missing}
    assert {step.node.rule_name for step in steps if step.independent}


def test_the_numbers_of_the_recording_stay_as_they_are():
    tape = recorded(PROGRAMS["mul"], X)
    before = [value.tensor.clone() for value in tape.values]
    reverse(tape, policy=Policy({name: rule for name, rule in RULES.items() if name != "mul"}, fallback=True))
    assert all(torch.equal(value.tensor, one) for value, one in zip(tape.values, before, strict=True))
