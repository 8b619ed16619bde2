"""An adapter on the disk is PEFT's: what we write PEFT computes, what PEFT wrote we compute; and it knows its base."""

import json

import pytest
import torch
from finetune_models import FAMILIES, learn, made, opened, some_ids

from chainrule.base import CheckpointError, ConfigError
from chainrule.checkpoint import (
    base_fingerprint,
    open_adapted,
    open_model,
    put_adapter,
    read_tensors,
    save_adapter,
    to_hugging_face,
    write_tensors,
)
from chainrule.cli import main
from chainrule.export import export
from chainrule.finetune import open_merged
from chainrule.model import LoraSettings, adapter_names, add_lora, use_adapter

# PEFT 0.21 asks transformers 5 in a way that it warns of; PyPI's newest of both, so that is theirs to change.
theirs_to_change = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
KINDS = {
    "lora": LoraSettings(4),
    "rslora": LoraSettings(4, 3.0, rslora=True),
    "dora": LoraSettings(4, dora=True),
}
each_family = pytest.mark.parametrize("family", FAMILIES)
each_kind = pytest.mark.parametrize("kind", KINDS)


def taught(family, settings=KINDS["lora"]):
    model = made(family)
    add_lora(model, settings, seed=1)
    learn(model)
    return model


def theirs(model):
    """The same base in transformers."""
    transformers = pytest.importorskip("transformers")
    settings, tensors = to_hugging_face(model.config, model.state_dict())
    config = transformers.AutoConfig.for_model(**settings)
    reference = transformers.AutoModelForCausalLM.from_config(config).eval()
    reference.load_state_dict(tensors, strict=not model.config.tied_embeddings)
    reference.tie_weights()
    return reference


def by_others(folder):
    """Without the list of checksums, as others save adapters."""
    (folder / "SHA256SUMS").unlink()


def changed(folder, **values):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def close(ours, expected) -> bool:
    """Equal up to the rounding of float32."""
    ours, expected = ours.detach(), expected.detach()
    return bool((ours - expected).abs().max() <= 1e-5 * expected.abs().max().clamp(min=1))


@theirs_to_change
@each_family
@each_kind
def test_peft_computes_what_we_wrote(family, kind, tmp_path):
    peft = pytest.importorskip("peft")
    model = taught(family, KINDS[kind])
    save_adapter(model, tmp_path / "poems", base="me/base")
    adapted = peft.PeftModel.from_pretrained(theirs(made(family)), tmp_path / "poems").eval()
    ids = some_ids()
    assert close(model(ids), adapted(ids).logits)
    assert adapted.peft_config["default"].base_model_name_or_path == "me/base"
    assert close(model(ids), adapted.merge_and_unload()(ids).logits)


TARGETS = {
    "all": "all-linear",
    "queries and values": ["q_proj", "v_proj"],
    "attention": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "c_attn": ["c_attn"],
}


@theirs_to_change
@pytest.mark.parametrize(
    ("family", "targets"),
    [("llama", "all"), ("llama", "queries and values"), ("qwen3", "attention"), ("gpt2", "all"), ("gpt2", "c_attn")],
)
@pytest.mark.parametrize("more", [{}, {"use_dora": True, "use_rslora": True}], ids=["lora", "dora"])
def test_we_compute_what_peft_wrote(family, targets, more, tmp_path):
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(
        **{"r": 3, "lora_alpha": 5, "task_type": "CAUSAL_LM", "target_modules": TARGETS[targets], **more},
        fan_in_fan_out=family == "gpt2",
    )
    torch.manual_seed(2)
    adapted = peft.get_peft_model(theirs(made(family)), settings).eval()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.add_(torch.randn(parameter.shape) * 0.1)
    adapted.save_pretrained(tmp_path / "a")
    found = open_adapted(opened(made(family)), tmp_path / "a")
    ids = some_ids()
    expected = adapted(ids).logits
    assert close(found.model(ids), expected)
    assert found.origin == f"a test, with the adapter {tmp_path / 'a'}"
    save_adapter(found.model, tmp_path / "b")
    for name, tensor in read_tensors(tmp_path / "a" / "adapter_model.safetensors").items():
        assert torch.equal(read_tensors(tmp_path / "b" / "adapter_model.safetensors")[name], tensor)


@each_family
def test_what_is_saved_and_opened_again_computes_the_same_to_the_last_bit(family, tmp_path):
    model, ids = taught(family, KINDS["dora"]), some_ids()
    save_adapter(model, tmp_path / "poems")
    again = open_adapted(opened(made(family)), tmp_path / "poems")
    assert torch.equal(again.model(ids), model(ids)) and not again.model.training
    merged = open_merged(opened(made(family)), tmp_path / "poems")
    assert close(merged.model(ids), model(ids))
    assert adapter_names(merged.model) == []


def test_an_adapter_for_another_base_is_refused_with_both_fingerprints(tmp_path):
    model = taught("llama")
    save_adapter(model, tmp_path / "poems")
    other = made("llama")
    with torch.no_grad():
        other.final_norm.weight[3] += 1e-6
    with pytest.raises(CheckpointError, match="made for another base") as told:
        put_adapter(other, tmp_path / "poems")
    assert base_fingerprint(model)[:16] in str(told.value) and base_fingerprint(other)[:16] in str(told.value)
    assert adapter_names(other) == []


def test_an_adapter_of_another_shape_is_refused_by_the_name_of_a_tensor(tmp_path):
    """One of others, which does not say what it was made for."""
    save_adapter(taught("llama"), tmp_path / "poems")
    by_others(tmp_path / "poems")
    path = tmp_path / "poems" / "adapter_model.safetensors"
    tensors = {name: tensor.clone() for name, tensor in read_tensors(path).items()}  # they are mapped from the file
    with path.open("wb") as stream:
        write_tensors(stream, tensors)
    put_adapter(made("llama"), tmp_path / "poems")
    for wrong, words in (
        (made("llama", emb_dim=64), "shape"),
        (made("llama", n_layers=1), "no place"),
        (made("llama", n_layers=3), "lacks"),
        (made("gpt2"), "nothing for the linear layers"),
    ):
        with pytest.raises(CheckpointError, match=words):
            put_adapter(wrong, tmp_path / "poems")
        assert adapter_names(wrong) == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"peft_type": "LOHA"}, "LOHA"),
        ({"bias": "all"}, "bias"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"rank_pattern": {"q_proj": 8}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"r": "many"}, "must be numbers"),
        ({"r": 0}, "rank=0"),
        ({"lora_alpha": None}, "must be numbers"),
        ({"lora_alpha": float("inf")}, "alpha=inf"),
        ({"r": 10**9}, "shape"),
        ({"r": True}, "must be numbers"),
        ({"lora_alpha": 10**400}, "too large"),
        ({"modules_to_save": ["lm_head"] * 10_000}, r"= \['lm_head', .{100,200}…, which is not computed"),
    ],
)
def test_what_is_not_computed_here_is_refused_by_name(value, words, tmp_path):
    save_adapter(taught("llama"), tmp_path / "poems")
    by_others(tmp_path / "poems")
    changed(tmp_path / "poems", **value)
    with pytest.raises(CheckpointError, match=words):
        put_adapter(made("llama"), tmp_path / "poems")


def test_what_is_no_adapter_or_is_damaged_is_refused(tmp_path):
    model = taught("llama")
    with pytest.raises(CheckpointError, match=r"no adapter: it has no adapter_config\.json"):
        put_adapter(model, tmp_path)
    save_adapter(model, tmp_path / "poems")
    with pytest.raises(ConfigError, match="not empty"):
        save_adapter(model, tmp_path / "poems")
    by_others(tmp_path / "poems")
    weights = tmp_path / "poems" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="not a whole safetensors"):
        put_adapter(made("llama"), tmp_path / "poems")
    weights.unlink()
    with pytest.raises(CheckpointError, match="not a whole safetensors"):
        put_adapter(made("llama"), tmp_path / "poems")
    for content in ("{", "[]"):
        (tmp_path / "poems" / "adapter_config.json").write_text(content)
        with pytest.raises(CheckpointError, match="JSON"):
            put_adapter(made("llama"), tmp_path / "poems")


def test_several_folders_are_several_adapters_called_after_them(tmp_path):
    first, second = taught("llama"), taught("llama", LoraSettings(2, targets=("attention.out",)))
    save_adapter(first, tmp_path / "poems")
    save_adapter(second, tmp_path / "letters.v2")
    found = open_adapted(opened(made("llama")), tmp_path / "poems", tmp_path / "letters.v2")
    ids = some_ids()
    assert adapter_names(found.model) == ["poems", "letters-v2"] and torch.equal(found.model(ids), first(ids))
    use_adapter(found.model, "letters-v2")
    assert torch.equal(found.model(ids), second(ids))


def test_the_verb_exports_base_and_adapter_as_one_plain_model(tmp_path, capsys):
    pytest.importorskip("transformers")
    base, ids = opened(made("llama")), some_ids()
    export(base, tmp_path / "base")
    model = taught("llama")
    save_adapter(model, tmp_path / "poems")
    words = ["export", "hf", str(tmp_path / "base"), str(tmp_path / "out"), "--adapter", str(tmp_path / "poems")]
    assert main(words) == 0 and "transformers loads" in capsys.readouterr().out
    assert close(open_model(tmp_path / "out").model(ids), model(ids)) and not close(model(ids), base.model(ids))
    assert "poems" in open_adapted(tmp_path / "base", tmp_path / "poems").origin
    words[3:4] = [str(tmp_path / "second")]
    words[-1] = str(tmp_path)
    assert main(words) == 2 and "no adapter" in capsys.readouterr().err
