import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from lens.agreement import both, largest_errors, recorded
from lens.rules.numbers import normal

from chainrule.lens import record, reverse
from chainrule.lens.rules import RULES
from chainrule.lens.rules.index import INDEX
from chainrule.lens.rules.piece import PIECE
from chainrule.lens.rules.shape import SHAPE
from chainrule.lens.rules.write import WRITE

IDS = torch.tensor([[2, 0, 2], [1, 2, 3]])


@pytest.mark.parametrize("padding", [2, -3, 0])
def test_the_padding_row_receives_nothing_however_often_it_is_used(padding):
    ours, theirs = both(recorded(lambda w: F.embedding(IDS, w, padding_idx=padding), normal(4, 3)))["w"]
    assert torch.equal(ours, theirs)
    assert not ours[padding % 4].any()
    assert ours.any()


def test_with_scaling_by_frequency_each_row_receives_the_mean_over_its_uses():
    tape = recorded(lambda w: F.embedding(IDS, w, scale_grad_by_freq=True), normal(4, 3))
    assert largest_errors(tape)["w"] <= 1e-15


def test_a_row_that_is_used_three_times_receives_three_gradients():
    table = normal(4, 3).requires_grad_()
    tape = record(lambda w: F.embedding(IDS, w).sum(), table)
    (gradient,) = reverse(tape).values()
    assert gradient[:, 0].tolist() == [1, 1, 3, 1]


def test_of_a_source_larger_than_the_index_only_the_corner_that_was_written_receives():
    """Torch's own backward refuses this: "invalid gradient"."""
    place = torch.tensor([[3, 1]])
    tape = record(lambda s: torch.zeros(3, 4).scatter(1, place, s).sum(), torch.ones(2, 3).requires_grad_())
    (gradient,) = reverse(tape).values()
    assert gradient.tolist() == [[1, 1, 0], [0, 0, 0]]


def test_indices_in_a_scalar_give_a_scalar_back():
    assert largest_errors(recorded(lambda x: x.index_select(0, torch.tensor([0])), normal())) == {"x": 0}


@pytest.mark.parametrize("rules", [SHAPE, PIECE, INDEX, WRITE], ids=["shape", "piece", "index", "write"])
def test_every_rule_explains_itself_and_says_its_formulas_twice(rules):
    for name, rule in rules.items():
        assert RULES[name].value is rule.value
        assert rule.pullback.__doc__
        assert set(rule.formulas) <= set(rule.names)
        for formula in (rule.value, *rule.formulas.values()):
            assert formula.text
            assert formula.latex
            assert formula.latex.count("{") == formula.latex.count("}")


def test_a_conversion_at_core_level_gives_the_gradient_back_in_the_first_type():
    x = normal(3).requires_grad_()
    tape = record(lambda x: torch.ops.prims.convert_element_type(x, torch.float32).sum(), x)
    (gradient,) = reverse(tape).values()
    assert "convert_element_type" in {node.rule_name for node in tape.nodes}
    assert (gradient.dtype, gradient.tolist()) == (torch.float64, [1, 1, 1])
