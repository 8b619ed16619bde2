"""The schema says what each field does, and refuses what could not be exported."""

from typing import get_args

import pytest
from pydantic import ValidationError

from chainrule.base import ConfigError
from chainrule.config import (
    PRESETS,
    SCALED_BY,
    Config,
    Layer,
    ModelConfig,
    VocabularyConfig,
    preset,
    resolve,
    section_type,
)
from chainrule.model.rope import SCALINGS

MODERN = {"norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False}
FIELDS = [(name, key) for name in Config.model_fields for key in section_type(name).model_fields]


@pytest.mark.parametrize(("section", "key"), FIELDS)
def test_every_setting_says_what_it_does_in_a_sentence(section, key):
    help_text = section_type(section).model_fields[key].description
    assert help_text and help_text.rstrip().endswith(".")


def test_the_defaults_are_gpt2_124m():
    assert resolve([preset("gpt2-124m")]).config.model == ModelConfig()


def test_a_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        Config().model.n_layers = 3  # type: ignore[misc]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_configuration(name):
    assert resolve([preset(name)]).config.model.architecture in ("gpt2", "qwen3")


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="Did you mean 'gpt2-124m'"):
        preset("gpt2-125m")


@pytest.mark.parametrize(
    "odd",
    [
        {"norm": "rmsnorm"},
        {"activation": "swiglu"},
        {"qk_norm": True},
        {"n_kv_heads": 4},
        {"head_dim": 32},
        MODERN | {"norm": "layernorm"},
        MODERN | {"activation": "gelu"},
        MODERN | {"bias": True},
        MODERN | {"qkv_bias": True, "qk_norm": True},
    ],
)
def test_what_no_exported_architecture_computes_is_refused(odd):
    with pytest.raises(ValidationError, match="cannot be exported"):
        ModelConfig(**odd)


def test_what_need_not_be_exported_may_be_mixed_freely():
    odd = ModelConfig(norm="rmsnorm", activation="swiglu", n_kv_heads=4, exportable=False)
    assert (odd.norm, odd.activation, odd.n_kv_heads) == ("rmsnorm", "swiglu", 4)
    with pytest.raises(ValidationError, match="exportable=false trains it all the same"):
        ModelConfig(norm="rmsnorm")


def test_llama_takes_no_free_head_width_and_qwen3_does():
    shape = MODERN | {"emb_dim": 100, "n_heads": 3, "head_dim": 32}
    with pytest.raises(ValidationError, match="which LlamaForCausalLM requires"):
        ModelConfig(**shape)
    assert ModelConfig(**shape, qk_norm=True).architecture == "qwen3"


@pytest.mark.parametrize(
    ("extra", "home"),
    [
        ({}, "llama"),
        ({"qkv_bias": True}, "qwen2"),
        ({"qk_norm": True}, "qwen3"),
        ({"qk_norm": True, "n_kv_heads": 3}, "qwen3"),
    ],
)
def test_modern_shapes_have_their_home(extra, home):
    assert ModelConfig(**MODERN, **extra).architecture == home


def test_groups_of_heads_must_divide():
    with pytest.raises(ValidationError, match="use a divisor of 12"):
        ModelConfig(**MODERN, n_kv_heads=5)


def test_rotary_positions_need_an_even_head():
    with pytest.raises(ValidationError, match="even head_dim"):
        ModelConfig(**MODERN, head_dim=63)


def test_a_tokenizer_from_a_file_needs_the_file():
    with pytest.raises(ValidationError, match="needs path"):
        VocabularyConfig(kind="file")


@pytest.mark.parametrize("kind", ["bpe", "bytes", "chars"])
def test_a_file_that_would_not_be_read_is_refused(kind):
    with pytest.raises(ValidationError, match='with path use kind="file"'):
        VocabularyConfig(kind=kind, path="tokenizer.json")
    assert VocabularyConfig(kind="gpt2", path="folder").path == "folder"


def test_the_batch_in_windows_is_rounded_and_at_least_one():
    small = Config(model=ModelConfig(context_length=100), training={"batch_tokens": 249})
    assert small.batch_windows == 2
    assert Config(training={"batch_tokens": 10}).batch_windows == 1


@pytest.mark.parametrize("first_window", [3, 48, 512])
def test_windows_that_do_not_double_to_the_context_are_refused_with_those_that_do(first_window):
    with pytest.raises(ConfigError, match=r"first_window=.* use 0 or one of \[128, 64, 32, 16\]"):
        resolve([Layer("test", {"model": {"context_length": 256}, "schedule": {"first_window": first_window}})])


def test_a_width_beyond_any_memory_is_refused_without_trying_all_its_divisors():
    with pytest.raises(ValidationError, match="does not divide into n_heads=12; try n_heads=8"):
        ModelConfig(emb_dim=2**40)
    with pytest.raises(ValidationError, match="n_heads=9999999; try n_heads=1"):
        ModelConfig(emb_dim=2**61 - 1, n_heads=9_999_999)  # a prime


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rope_scaling": "yarn"}, "'none', 'linear' or 'llama3'"),
        ({"rope_scaling": "linear", "rope_factor": 0}, "greater than 0"),
        ({"rope_scaling": "llama3", "rope_low_freq_factor": 4.0}, "rope_low_freq_factor=4 must be below"),
        ({"rope_scaling": "llama3", "rope_original_context": 0}, "greater than 0"),
        ({"rope_factor": 2.0}, "rope_factor=2.0 means nothing with rope_scaling=none; use linear or llama3"),
        ({"rope_scaling": "linear", "rope_original_context": 64}, "means nothing with rope_scaling=linear; use llama3"),
        ({"rope_scaling": "linear", "position": "learned", "norm": "layernorm"}, "needs position=rope"),
    ],
)
def test_positions_that_are_scaled_to_no_end_are_refused(given, words):
    with pytest.raises(ValidationError, match=words):
        ModelConfig(**{**MODERN, **given})


def test_every_kind_of_scaled_positions_is_computed_and_says_what_it_reads():
    kinds = set(get_args(ModelConfig.model_fields["rope_scaling"].annotation))
    assert kinds == SCALED_BY.keys() == SCALINGS.keys()
