"""Parity with transformers: the same random weights give the same logits, in both directions."""

import copy
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from chainrule.base import CheckpointError
from chainrule.checkpoint import from_hugging_face, load_weights, open_model, to_hugging_face, write_tensors
from chainrule.config import ModelConfig
from chainrule.model import GPT
from chainrule.tokenizer import train_bpe

TOLERANCE = 1e-5
SHAPE = {"vocab_size": 97, "context_length": 32, "emb_dim": 48, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}
MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False, "rope_base": 5000.0}
BOTH = (False, True)
LINEAR = {"rope_scaling": "linear", "rope_factor": 2.5}
# The places of the short context reach all three parts: pairs left alone, slowed, and between.
LLAMA3 = {"rope_scaling": "llama3", "rope_factor": 8.0, "rope_original_context": 16}


def our_cases() -> Iterator[dict[str, Any]]:
    for qkv_bias, bias, tied in itertools.product(BOTH, BOTH, BOTH):
        yield {"qkv_bias": qkv_bias, "bias": bias, "tied_embeddings": tied, "hidden_dim": 100}
    for qk_norm, tied, (n_kv_heads, head_dim) in itertools.product(BOTH, BOTH, ((4, 12), (2, 12), (1, 16))):
        yield {**MODERN, "qk_norm": qk_norm, "tied_embeddings": tied, "n_kv_heads": n_kv_heads, "head_dim": head_dim}
    for tied, n_kv_heads in itertools.product(BOTH, (4, 2)):
        yield {**MODERN, "qkv_bias": True, "tied_embeddings": tied, "n_kv_heads": n_kv_heads}
    for scaling, family in itertools.product((LINEAR, LLAMA3), ({}, {"qkv_bias": True}, {"qk_norm": True})):
        yield {**MODERN, **family, **scaling}
    yield {**MODERN, **LLAMA3, "rope_low_freq_factor": 0.5, "rope_high_freq_factor": 2.0}


def their_cases() -> Iterator[transformers.PreTrainedConfig]:
    ids = {"bos_token_id": None, "eos_token_id": None}
    for tied, inner in ((False, None), (True, 70)):
        shape = {"n_positions": 32, "n_embd": 48, "n_head": 4, "n_layer": 2, "n_inner": inner}
        yield transformers.GPT2Config(vocab_size=97, tie_word_embeddings=tied, **shape, **ids)
    shape = {"vocab_size": 97, "hidden_size": 48, "num_attention_heads": 4, "num_hidden_layers": 2}
    shape |= {"intermediate_size": 80, "max_position_embeddings": 32, **ids}
    rope = {"rope_parameters": {"rope_type": "default", "rope_theta": 777.0}}
    for tied, n_kv_heads in itertools.product(BOTH, (4, 2)):
        more = {"tie_word_embeddings": tied, "num_key_value_heads": n_kv_heads, **rope}
        yield transformers.LlamaConfig(**shape, **more, rms_norm_eps=1e-4)
        yield transformers.Qwen2Config(**shape, **more)
        yield transformers.Qwen3Config(**shape, **more, head_dim=16)
    llama3 = {"factor": 4.0, "low_freq_factor": 1, "high_freq_factor": 3.0, "original_max_position_embeddings": 20}
    for scaling in ({"rope_type": "linear", "factor": 3}, {"rope_type": "llama3", **llama3}):
        scaled = {"rope_parameters": {"rope_theta": 777.0, **scaling}}
        yield transformers.LlamaConfig(**shape, **scaled)
        yield transformers.Qwen3Config(**shape, **scaled, num_key_value_heads=2, head_dim=16)


def randomised(model: nn.Module) -> Any:
    """Weights far from the start, so that no layer is close to an identity and no bias is zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            wide = parameter.dim() > 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * (0.3 if wide else 0.5))
            if name.endswith(("norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight")):
                parameter.add_(1.0)
    return model.eval()


def transformers_model(settings: dict[str, Any]) -> Any:
    config = transformers.AutoConfig.for_model(**settings)
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()


def ids(length: int = 32) -> Tensor:
    return torch.randint(97, (2, length), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def difference(ours: nn.Module, theirs: nn.Module) -> float:
    return float((ours(ids()) - theirs(ids()).logits).abs().max())


@torch.no_grad()
def greedy(logits_of: Any, length: int) -> list[int]:
    text = ids(4)[:1]
    while text.shape[1] < length:
        text = torch.cat((text, logits_of(text)[:, -1:].argmax(-1)), dim=1)
    return text[0].tolist()


@pytest.mark.parametrize("case", list(our_cases()), ids=lambda case: "-".join(map(str, case.values())))
def test_our_weights_give_the_same_logits_in_transformers(case: dict[str, Any]) -> None:
    config = ModelConfig(**{**SHAPE, **case})
    ours = randomised(GPT(config))
    settings, tensors = to_hugging_face(config, ours.state_dict())
    theirs = transformers_model(settings)
    absent = theirs.load_state_dict(tensors, strict=False)
    assert absent.unexpected_keys == []
    assert absent.missing_keys == (["lm_head.weight"] if config.tied_embeddings else [])
    theirs.tie_weights()
    assert difference(ours, theirs) <= TOLERANCE
    assert greedy(ours, 32) == greedy(lambda text: theirs(text).logits, 32)


@pytest.mark.parametrize("theirs_config", list(their_cases()), ids=lambda config: type(config).__name__)
def test_their_weights_give_the_same_logits_here(theirs_config: transformers.PreTrainedConfig) -> None:
    theirs = randomised(transformers.AutoModelForCausalLM.from_config(theirs_config))
    config, state_dict = from_hugging_face(theirs_config.to_dict(), theirs.state_dict())
    ours = GPT(config).eval()
    load_weights(ours, state_dict, "transformers")
    assert difference(ours, theirs) <= TOLERANCE
    assert greedy(ours, 32) == greedy(lambda text: theirs(text).logits, 32)


@pytest.mark.parametrize("case", list(our_cases()), ids=lambda case: "-".join(map(str, case.values())))
def test_there_and_back_computes_the_same_bits(case: dict[str, Any]) -> None:
    config = ModelConfig(**{**SHAPE, **case})
    model = randomised(GPT(config))
    back_config, state_dict = from_hugging_face(*to_hugging_face(config, model.state_dict()))
    back = GPT(back_config).eval()
    load_weights(back, state_dict, "there and back")
    with torch.no_grad():
        # A bias that was absent comes back as zeros, and the fused kernel then rounds in another order.
        assert (back(ids()) - model(ids())).abs().max() <= (TOLERANCE if back_config != config else 0)


def published() -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A small GPT-2 as the hub's file has it: no "transformer." prefix, causal masks among the weights."""
    config = ModelConfig(**SHAPE, qkv_bias=True)
    settings, tensors = to_hugging_face(config, randomised(GPT(config)).state_dict())
    tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    for layer in range(config.n_layers):
        tensors[f"h.{layer}.attn.bias"] = torch.ones(1, 1, 32, 32).tril()
        tensors[f"h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    names = ("vocab_size", "n_positions", "n_embd", "n_head", "n_layer", "model_type", "layer_norm_epsilon")
    return {name: settings[name] for name in names}, tensors


def test_the_hubs_gpt2_with_its_bare_names_and_masks_is_read() -> None:
    config, state_dict = from_hugging_face(*published())
    ours = GPT(config).eval()
    load_weights(ours, state_dict, "published")
    assert ours.head is None and config.qkv_bias
    assert torch.equal(ours.blocks[1].attention.qkv.weight, published()[1]["h.1.attn.c_attn.weight"].T)


def test_half_precision_is_read_as_float32_without_loss() -> None:
    settings, tensors = published()
    half = {name: tensor.bfloat16() for name, tensor in tensors.items()}
    _, state_dict = from_hugging_face(settings, half)
    assert {tensor.dtype for tensor in state_dict.values()} == {torch.float32}
    assert torch.equal(state_dict["token_embedding.weight"].bfloat16(), half["wte.weight"])


def test_a_copy_of_the_embedding_as_head_of_a_tied_model_is_dropped_and_another_one_refused() -> None:
    settings, tensors = published()
    _, state_dict = from_hugging_face(settings, {**tensors, "lm_head.weight": tensors["wte.weight"].clone()})
    assert "head.weight" not in state_dict
    with pytest.raises(CheckpointError, match="tie_word_embeddings"):
        from_hugging_face(settings, {**tensors, "lm_head.weight": tensors["wte.weight"] + 1})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("h.1.ln_2.bias"), r"h\.1\.ln_2\.bias is missing"),
        (lambda t: t.update({"h.2.ln_1.weight": t["ln_f.weight"]}), r"no place for h\.2\.ln_1\.weight"),
        (lambda t: t.update({"wte.weight": t["wte.weight"].to(torch.int8)}), r"wte\.weight holds torch\.int8"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(change: Any, message: str) -> None:
    settings, tensors = published()
    change(tensors)
    with pytest.raises(CheckpointError, match=message):
        from_hugging_face(settings, tensors)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "mamba"}, "model_type 'mamba'; known: gpt2, llama, qwen2, qwen3"),
        ({"model_type": None}, "model_type None"),
        ({"model_type": ["gpt2"]}, "model_type"),
        ({"model_type": {"a": 1}}, "model_type"),
        ({"layer_types": "full"}, "layer_types"),
        ({"layer_types": [["full_attention"]]}, "layer_types"),
        ({"vocab_size": 2_000_000_000}, "wte.weight has shape"),
        ({"vocab_size": 10**15}, "vocab_size"),
        ({"n_positions": 10**12}, "n_positions"),
        ({"n_positions": 2**24}, "wpe.weight has shape"),
        ({"n_embd": 10**6, "n_head": 1}, "wte.weight has shape"),
        ({"n_inner": 10**18}, "n_inner"),
        ({"n_layer": 2**31 - 1}, "is missing"),
        ({"n_embd": None}, "n_embd = None"),
        ({"n_layer": -1}, "n_layer = -1"),
        ({"n_head": "12"}, "n_head = '12'"),
        ({"n_head": 7}, "emb_dim=48 does not divide into n_heads=7"),
        ({"activation_function": "gelu"}, "activation_function = 'gelu'.*'gelu_new' only"),
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"layer_norm_epsilon": "x"}, "norm_eps"),
    ],
)
def test_settings_that_we_do_not_compute_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    settings, tensors = published()
    with pytest.raises(CheckpointError, match=message):
        from_hugging_face({**settings, **changes}, tensors)


def scaled(**more: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_theta": 5000.0, **more}}


def llama3(**more: Any) -> dict[str, Any]:
    given = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
    return scaled(**{"rope_type": "llama3", **given, **more})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (scaled(rope_type="llama3", factor=8), "type 'llama3' and no low_freq_factor, high_freq_factor, original_max"),
        (scaled(rope_type="linear"), "type 'linear' and no factor"),
        (scaled(rope_type="linear", factor=0), "rope_factor: .*greater than 0"),
        (scaled(rope_type="linear", factor=-2.0), "rope_factor: .*greater than 0"),
        (scaled(rope_type="linear", factor="2"), "factor = '2'; it must be a number"),
        (scaled(rope_type="linear", factor=True), "factor = True; it must be a number"),
        (scaled(rope_type="linear", factor=2.0, high_freq_factor=4.0), "high_freq_factor = 4.0: .*type 'linear'"),
        (llama3(low_freq_factor=4.0), "rope_low_freq_factor=4 must be below rope_high_freq_factor=4"),
        (llama3(low_freq_factor=0), "rope_low_freq_factor: .*greater than 0"),
        (llama3(original_max_position_embeddings=16.5), "original_max_position_embeddings = 16.5; .*whole number"),
        (llama3(original_max_position_embeddings=0), "rope_original_context: .*greater than 0"),
        (llama3(factor=float("nan")), "factor = nan; it must be a number"),
        (llama3(type="linear"), "rope_parameters of type 'linear'"),
        (llama3(attention_factor=2.0), "attention_factor = 2.0"),
        ({"rope_parameters": {"rope_theta": 1.0, "partial_rotary_factor": 0.5}}, "over whole heads"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "says two things: rope_parameters.rope_type = 'default'"),
        ({"rope_scaling": {"factor": 2.0, "rope_type": "yarn"}}, "type 'yarn': .*: default, linear, llama3"),
        ({"rope_scaling": {"factor": 2.0, "rope_type": ["linear"]}}, r"type \['linear'\]"),
        ({"rope_scaling": {"factor": 2.0}}, "rope_scaling.factor = 2.0"),
        ({"rope_scaling": "linear"}, "must be an object"),
        ({"rope_parameters": {"full_attention": {"rope_type": "dynamic", "factor": 2.0}}}, "type 'dynamic'"),
        ({"rope_parameters": {"sliding_attention": {"rope_type": "default"}}}, "sliding_attention"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"rope_theta": 1234.0}, "says two things: rope_parameters.rope_theta = 5000.0, rope_theta = 1234.0"),
        ({"rope_parameters": {"rope_theta": "big"}}, "must be a number"),
        ({"rope_parameters": {"rope_theta": float("inf")}}, "must be a number"),
        ({"max_position_embeddings": 10**12}, "max_position_embeddings"),
        ({"vocab_size": 2**31 - 1}, "embed_tokens.weight has shape"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding_attention"),
    ],
)
def test_modern_settings_that_we_do_not_compute_are_refused(changes: dict[str, Any], message: str) -> None:
    config = ModelConfig(**SHAPE, **MODERN)
    settings, tensors = to_hugging_face(config, GPT(config).state_dict())
    with pytest.raises(CheckpointError, match=message):
        from_hugging_face({**settings, **changes}, tensors)


def test_version_4_of_transformers_wrote_rope_theta_alone_and_is_read() -> None:
    config = ModelConfig(**SHAPE, **MODERN)
    settings, tensors = to_hugging_face(config, GPT(config).state_dict())
    del settings["rope_parameters"]
    assert from_hugging_face({**settings, "rope_scaling": None}, tensors)[0].rope_base == 5000.0


@pytest.mark.parametrize("word", ["type", "rope_type"])
def test_version_4_of_transformers_wrote_what_scales_apart_and_is_read(word: str) -> None:
    config = ModelConfig(**SHAPE, **MODERN)
    settings, tensors = to_hugging_face(config, GPT(config).state_dict())
    del settings["rope_parameters"]
    found, _ = from_hugging_face({**settings, "rope_scaling": {word: "linear", "factor": 2}}, tensors)
    assert (found.rope_base, found.rope_scaling, found.rope_factor) == (5000.0, "linear", 2.0)


def test_version_4_of_transformers_finds_what_scales_the_positions_of_an_export() -> None:
    config = ModelConfig(**SHAPE, **MODERN, **LLAMA3)
    settings, _ = to_hugging_face(config, GPT(config).state_dict())
    scaling = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}
    assert settings["rope_scaling"] == {"rope_type": "llama3", "type": "llama3", **scaling}
    assert settings["rope_theta"] == 5000.0


def test_a_matrix_with_rows_for_other_heads_is_refused() -> None:
    config = ModelConfig(**SHAPE, **MODERN)
    settings, tensors = to_hugging_face(config, GPT(config).state_dict())
    tensors = copy.copy(tensors)
    tensors["model.layers.0.self_attn.k_proj.weight"] = torch.zeros(24, 48)
    with pytest.raises(CheckpointError, match=r"k_proj\.weight has shape \[24, 48\].*\[48, 48\]"):
        from_hugging_face(settings, tensors)


def test_what_a_config_asks_for_is_compared_with_the_weights_before_memory_is_taken(tmp_path: Path) -> None:
    config = ModelConfig(**SHAPE, **MODERN)
    settings, tensors = to_hugging_face(config, GPT(config).state_dict())
    with (tmp_path / "model.safetensors").open("xb") as stream:
        write_tensors(stream, tensors)
    train_bpe(["of any text"], 260).save(tmp_path / "tokenizer.json")
    widest = {"hidden_size": 2**31 - 1, "head_dim": 2**31 - 2}
    beyond = [widest, {"intermediate_size": 2**31 - 1}, {"num_hidden_layers": 10**9}, {"head_dim": 2**30}]
    for changes in beyond:  # forty terabytes of matrices, a billion layers, a gigabyte for each place of the context
        (tmp_path / "config.json").write_text(json.dumps({**settings, **changes}))
        with pytest.raises(CheckpointError):
            open_model(tmp_path)
