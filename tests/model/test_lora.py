"""An adapter adds nothing until it has learnt, learns alone, and becomes the weights that it stands for."""

import copy

import pytest
import torch
from finetune_models import FAMILIES, learn, made, opened, some_ids

from chainrule.base import CheckpointError, ConfigError, ExportError, TrainingError
from chainrule.checkpoint import base_fingerprint, load_adapter
from chainrule.finetune import check_moved, check_neutral, merged_copy
from chainrule.finetune.adapter_checks import check_merge
from chainrule.generate import Temperature, generate
from chainrule.model import (
    LoraSettings,
    adapter_in_use,
    adapter_names,
    adapter_tensors,
    add_lora,
    base_tensors,
    merge_lora,
    use_adapter,
    without_adapter,
)

KINDS = {
    "lora": LoraSettings(4),
    "rslora": LoraSettings(4, 3.0, rslora=True),
    "dora": LoraSettings(4, dora=True),
    "some": LoraSettings(4, targets=("attention.out", "feed_forward.up"), dora=True),
}
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(params=FAMILIES)
def model(request):
    return made(request.param)


@each_kind
def test_a_new_adapter_changes_no_bit_of_the_logits(model, kind):
    ids = some_ids()
    before = model(ids)
    add_lora(model, KINDS[kind], seed=3)
    assert torch.equal(model(ids), before)
    check_neutral(model, ids)


def test_a_new_adapter_changes_no_bit_of_the_loss_in_bfloat16(model):
    ids = some_ids()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = model.loss(ids[:, :-1], ids[:, 1:])
        add_lora(model, LoraSettings(4))
        after = model.loss(ids[:, :-1], ids[:, 1:])
    assert torch.equal(after, before)
    after.backward()
    assert all(one.grad is not None for one in model.parameters() if one.requires_grad)


@each_kind
def test_the_adapter_alone_learns_and_merged_it_is_a_plain_model_that_computes_the_same(model, kind):
    ids, names = some_ids(), list(model.state_dict())
    before, fingerprint = copy.deepcopy(model), base_fingerprint(model)
    add_lora(model, KINDS[kind])
    learn(model)
    check_moved(model, ids)
    assert base_fingerprint(model) == fingerprint
    merged = merged_copy(model)
    assert (merged(ids) - model(ids)).abs().max() <= 1e-5 * max(1, model(ids).abs().max())
    assert list(merged.state_dict()) == names and (merged.head is None) == (before.head is None)
    assert not torch.equal(merged(ids), before(ids))
    assert all(one.requires_grad for one in merged.parameters())
    with without_adapter(model):
        assert torch.equal(model(ids), before(ids))


def test_the_scale_is_alpha_over_the_rank_or_its_root():
    assert LoraSettings().scale == 2.0 and LoraSettings(4, 8.0).scale == 2.0
    assert LoraSettings(16, rslora=True).scale == 8.0 and LoraSettings(9, 6.0, rslora=True).scale == 2.0


def test_an_adapter_is_a_function_of_its_seed():
    tensors = []
    for seed in (1, 1, 2):
        model = made("qwen3")
        add_lora(model, LoraSettings(4), seed)
        tensors.append(adapter_tensors(model)["blocks.1.attention.qkv.down"])
    assert torch.equal(tensors[0], tensors[1]) and not torch.equal(tensors[0], tensors[2])


def test_queries_keys_and_values_have_an_a_each_where_they_are_three_layers_elsewhere():
    shapes = {}
    for family in FAMILIES:
        model = made(family)
        add_lora(model, LoraSettings(4))
        shapes[family] = [
            tuple(adapter_tensors(model)[f"blocks.0.attention.qkv.{key}"].shape) for key in ("down", "up")
        ]
    assert shapes == {"gpt2": [(4, 32), (96, 4)], "llama": [(12, 32), (64, 4)], "qwen3": [(12, 32), (64, 4)]}


def test_queries_and_values_alone_leave_the_keys_as_they_are():
    model = made("llama")
    weight = model.blocks[0].attention.qkv.weight.detach().clone()
    add_lora(model, LoraSettings(4, targets=("attention.q", "attention.v")))
    learn(model)
    merge_lora(model)
    same = (model.blocks[0].attention.qkv.weight == weight).all(dim=1)
    assert same[32:48].all() and not same[:32].any() and not same[48:].any()


@each_kind
def test_what_was_taken_out_and_put_back_computes_the_same(kind):
    one, other, ids = made("qwen3"), made("qwen3"), some_ids()
    for model in (one, other):
        add_lora(model, KINDS[kind], seed=5)
    learn(one)
    load_adapter(other, adapter_tensors(one))
    assert torch.equal(one(ids), other(ids))
    assert not [name for name in base_tensors(one) if "adapters" in name]


def test_tensors_of_another_adapter_are_refused_by_name():
    model = made("llama")
    add_lora(model, LoraSettings(4))
    tensors = {name: tensor.clone() for name, tensor in adapter_tensors(model).items()}
    with pytest.raises(CheckpointError, match="down"):
        load_adapter(model, {**tensors, "blocks.0.attention.out.down": torch.zeros(3, 32)})
    with pytest.raises(CheckpointError, match=r"blocks\.9"):
        load_adapter(model, {**tensors, "blocks.9.attention.out.down": torch.zeros(4, 32)})


def test_several_adapters_stand_on_one_base_and_one_computes():
    model, ids = made("llama"), some_ids()
    base = model(ids)
    add_lora(model, LoraSettings(4), name="poems")
    learn(model)
    poems = model(ids)
    add_lora(model, LoraSettings(2, targets=("attention.out",)), name="letters")
    assert torch.equal(model(ids), base), "a new one begins at the base, whatever others learnt"
    learn(model)
    letters = model(ids)
    assert adapter_names(model) == ["poems", "letters"] and adapter_in_use(model) == "letters"
    use_adapter(model, "poems")
    assert torch.equal(model(ids), poems), "what one learns another does not feel"
    use_adapter(model, None)
    assert torch.equal(model(ids), base) and not torch.equal(letters, poems)
    with pytest.raises(ConfigError, match="it has poems, letters"):
        use_adapter(model, "poem")
    use_adapter(model, "poems")
    merge_lora(model, "letters")
    assert adapter_names(model) == [] and (model(ids) - letters).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_greedy_text_of_an_adapter_is_that_of_the_merged_model(kind):
    """Through the cache, token by token; DoRA keeps its norms meanwhile."""
    model = made("qwen3")
    add_lora(model, KINDS[kind])
    learn(model)
    words = opened(model).tokenizer
    texts = [
        generate(one, words, ["abc", "hello "], max_new_tokens=16, rules=[Temperature(0)])
        for one in (model, merged_copy(model))
    ]
    assert [one.ids for one in texts[0]] == [one.ids for one in texts[1]]


def test_the_norms_that_dora_keeps_are_those_of_the_weights_as_they_are():
    model, ids = made("llama"), some_ids()
    add_lora(model, LoraSettings(4, dora=True))
    for _ in range(2):
        with torch.no_grad():
            model(ids)  # keeps norms
        learn(model, 1)
        with torch.no_grad():
            kept = model(ids)
            fresh = model.train()(ids)
            model.eval()
        assert torch.equal(kept, fresh)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"rank": 0}, "rank=0"),
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"targets": ()}, "targets is empty"),
        ({"targets": ("attention.qvk",)}, "Did you mean"),
        ({"targets": ("feed_forward.gate",)}, "no target of this model"),
        ({"targets": ("attention.q",)}, "no target of this model"),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong, words):
    with pytest.raises(ConfigError, match=words):
        add_lora(made("gpt2"), LoraSettings(**wrong))


def test_names_are_words_and_are_taken_once():
    model = made("gpt2")
    with pytest.raises(ConfigError, match="no name"):
        add_lora(model, LoraSettings(4), name="a.b")
    add_lora(model, LoraSettings(4))
    with pytest.raises(ConfigError, match="already"):
        add_lora(model, LoraSettings(4))


# --- planted faults ---------------------------------------------------------------------------------------------------


@pytest.fixture
def adapted():
    model = made("qwen3")
    add_lora(model, LoraSettings(4))
    return model


def test_an_adapter_that_changes_the_logits_before_it_learnt_is_caught(adapted):
    with torch.no_grad():
        adapted.blocks[1].feed_forward.up.adapters["default"].up[0, 0] = 1e-3
    with pytest.raises(TrainingError, match="already changes the logits"):
        check_neutral(adapted, some_ids())


def test_a_base_that_would_learn_beside_the_adapter_is_caught(adapted):
    adapted.final_norm.requires_grad_(True)
    with pytest.raises(TrainingError, match=r"final_norm\.weight would learn"):
        check_neutral(adapted, some_ids())


def test_an_adapter_that_would_not_learn_is_caught_before_the_first_step(adapted):
    adapted.blocks[0].attention.out.adapters.requires_grad_(False)
    with pytest.raises(TrainingError, match="tensors would learn"):
        check_neutral(adapted, some_ids())


def test_a_layer_that_no_gradient_reached_is_caught_after_the_first_step(adapted):
    adapted.blocks[0].attention.out.adapters.requires_grad_(False)
    learn(adapted, 1)
    with pytest.raises(TrainingError, match=r"blocks\.0\.attention\.out still adds nothing"):
        check_moved(adapted, some_ids())


def test_an_adapter_that_moved_and_does_not_compute_is_caught(adapted, monkeypatch):
    learn(adapted, 1)
    monkeypatch.setattr("chainrule.model.lora_linear.Adapter.add", lambda self, x, y, weight, bias: y)
    with pytest.raises(TrainingError, match="not what computes"):
        check_moved(adapted, some_ids())


def test_a_merge_that_merged_nothing_is_caught(adapted, monkeypatch):
    learn(adapted)
    monkeypatch.setattr("chainrule.model.lora_linear.Adapter.merged", lambda self, weight: weight)
    with pytest.raises(ExportError, match="is the base"):
        merged_copy(adapted)


def test_a_merge_that_is_another_model_is_caught(adapted, monkeypatch):
    from chainrule.model.lora_linear import Adapter

    right = Adapter.merged
    monkeypatch.setattr(Adapter, "merged", lambda self, weight: 2 * right(self, weight) - weight)
    learn(adapted)
    with pytest.raises(ExportError, match="another model"):
        merged_copy(adapted)


def test_a_head_that_came_off_its_embedding_is_caught(adapted):
    learn(adapted)
    merged = merged_copy(adapted)
    merged.head = torch.nn.Linear(32, 257, bias=False)
    merged.head.weight = torch.nn.Parameter(merged.token_embedding.weight.detach().clone())
    with pytest.raises(ExportError, match="tied"):
        check_merge(merged, adapted, some_ids())
