"""Time, memory and FLOPs by operation, and what autograd keeps: held against torch's own counts."""

import json

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from chainrule import lens
from chainrule.config import ModelConfig
from chainrule.lens.ledgers import CostTable, costs_of
from chainrule.model import GPT

SHAPE = {"vocab_size": 64, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 2}


def gpt_tape():
    torch.manual_seed(0)
    model = GPT(ModelConfig.model_validate(SHAPE)).eval()
    ids = torch.randint(0, 64, (2, 9))
    return lens.record(model.loss, ids[:, :-1], ids[:, 1:])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(3, 4, 3), nn.LayerNorm(6), nn.Linear(6, 2)

    def forward(self, x):
        return self.out(torch.relu(self.norm(self.conv(x)))).square().mean()


@pytest.fixture
def tape():
    torch.manual_seed(0)
    return lens.record(Net(), torch.randn(2, 3, 8, 8))


def test_flops_of_products_are_those_of_torchs_counter():
    torch.manual_seed(0)
    model, x = Net(), torch.randn(2, 3, 8, 8)
    with FlopCounterMode(display=False) as counter:
        model(x)
    tape = lens.record(model, x)
    costs = costs_of(tape)
    products = [node for node in tape.nodes if node.rule_name in ("convolution", "mm", "addmm")]
    assert sum(costs.of[node.id].flops for node in products) == counter.get_total_flops()
    assert costs.flops > counter.get_total_flops()


def test_attention_counts_both_of_its_products():
    tape = gpt_tape()
    costs = costs_of(tape)
    attention = [node for node in tape.nodes if "scaled_dot_product" in node.op]
    b, h, t, k = tape.values[attention[0].inputs[0]].meta.shape
    assert [costs.of[node.id].flops for node in attention] == [4 * b * h * t * t * k] * 2


def test_memory_is_what_was_newly_made_and_views_make_none(tape):
    costs = costs_of(tape)
    for node in tape.nodes:
        out = tape.values[node.outputs[0]]
        if node.rule_name in ("t", "view"):
            assert costs.of[node.id].n_bytes == 0
        if node.rule_name == "relu":
            assert costs.of[node.id].n_bytes == out.meta.n_elements * 4


def test_what_autograd_keeps_is_what_its_hooks_see():
    """By the memory of each storage once, and without weights and inputs."""
    torch.manual_seed(0)
    model, x, packed = Net(), torch.randn(2, 3, 8, 8), {}
    lasting = {one.untyped_storage().data_ptr() for one in (*model.parameters(), x)}

    def pack(tensor):
        packed[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda one: one):
        loss = model(x)
    expected = sum(n for storage, n in packed.items() if storage not in lasting)
    costs = costs_of(lens.record(model, x))
    assert costs.saved_bytes == expected
    assert loss.grad_fn is not None


def test_each_saved_tensor_has_autograds_word_and_the_value_that_it_is(tape):
    costs = costs_of(tape)
    relu = next(node for node in tape.nodes if node.rule_name == "relu")
    (saved,) = costs.of[relu.id].saved
    assert (saved.word, saved.value, saved.held) == ("result", relu.outputs[0], False)
    conv = next(node for node in tape.nodes if node.rule_name == "convolution")
    assert {one.word: one.held for one in costs.of[conv.id].saved} == {"input": True, "weight": True}


def test_a_custom_functions_saved_tensors_are_seen():
    class Square(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x * 1)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    weight = torch.ones(5, requires_grad=True)
    costs = costs_of(lens.record(lambda: Square.apply(weight).sum()))
    assert costs.saved_bytes == 20


def test_of_a_graph_that_was_freed_it_is_not_said_that_nothing_is_kept(tape):
    tape.values[tape.loss].tensor.backward()
    assert costs_of(tape).saved_bytes is None
    assert lens.picture(tape).saved_bytes is None


def test_every_operation_took_some_time_and_the_sum_is_of_the_whole(tape):
    costs = costs_of(tape)
    assert all(cost.seconds > 0 for cost in costs.of.values())
    assert costs.seconds == pytest.approx(sum(node.seconds for node in tape.nodes))


def test_the_table_folds_fits_and_has_the_sum(tape):
    table = CostTable(tape, costs_of(tape), "net")
    lines = lens.render(table).splitlines()
    assert max(map(len, lines)) <= 100
    assert any("convolution" in line for line in lines)
    assert any(line.split()[:1] == ["all"] for line in lines)
    deep = gpt_tape()
    folded = lens.render(CostTable(deep, costs_of(deep))).splitlines()
    assert any("blocks.1.attention" in line for line in folded)
    assert max(map(len, folded)) <= 100
    assert len(lens.render(CostTable(deep, costs_of(deep)), depth=0).splitlines()) > len(deep.nodes)


def test_as_json_there_is_everything(tape):
    facts = json.loads(lens.render(CostTable(tape, costs_of(tape)), "json"))
    assert len(facts["operations"]) == len(tape.nodes)
    assert facts["flops"] == sum(one["flops"] for one in facts["operations"])
    relu = next(one for one in facts["operations"] if one["op"].startswith("relu"))
    assert relu["saved"][0]["word"] == "result"
    drawn = json.loads(lens.render(lens.picture(tape), "json"))
    assert drawn["ops"][0]["cost"]["flops"] == facts["operations"][0]["flops"]
    assert drawn["saved_bytes"] == facts["saved_bytes"]
