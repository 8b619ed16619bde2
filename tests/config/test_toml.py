"""What is written reads back equal, and what follows from other settings is computed again."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.base import ConfigError
from chainrule.config import PRESETS, Config, Layer, load_toml, preset, resolve, to_toml, toml_value
from chainrule.plan import Machine, choose

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def read_back(text: str) -> Config:
    return resolve([Layer("file", tomllib.loads(text))]).config


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_the_file(name):
    resolved = resolve([preset(name)])
    assert read_back(to_toml(resolved.config, resolved.sources)) == resolved.config


@given(st.lists(TEXT, min_size=1), TEXT, st.floats(1e-12, 10), st.integers(0, 2**63 - 1))
def test_any_text_and_number_survives_the_file(prompts, source, lr, seed):
    values = {"training": {"prompts": prompts, "seed": seed}, "optimizer": {"lr": lr}}
    resolved = resolve([Layer(source, values)])
    assert read_back(to_toml(resolved.config, resolved.sources)) == resolved.config


@given(TEXT | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.lists(TEXT))
def test_a_value_reads_back_as_itself(value):
    assert tomllib.loads(f"x = {toml_value(value)}") == {"x": value}


def test_automatic_values_are_comments_and_are_computed_again():
    saved = to_toml(resolve([Layer("preset", {"model": {"emb_dim": 768}})]).config)
    assert "# hidden_dim = 3072  # automatic" in saved
    widened = resolve([Layer("file", tomllib.loads(saved)), Layer("flag", {"model": {"emb_dim": 384}})])
    assert widened.config.model.hidden_dim == 4 * 384


def test_a_value_that_was_given_stays_given():
    given_shape = resolve([Layer("flag", {"model": {"hidden_dim": 1000}})])
    assert "\nhidden_dim = 1000  # flag\n" in to_toml(given_shape.config, given_shape.sources)


def test_a_file_is_a_layer_with_its_name_as_source(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text("[model]\nn_layers = 2\n")
    assert load_toml(path) == Layer(str(path), {"model": {"n_layers": 2}})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"[model\n", "not valid TOML"),
        (b"[model]\nn_layers = \xff\n", "not valid TOML"),
        (b"x = " + b"[" * 100_000, "not valid TOML|nested too deeply"),
    ],
)
def test_a_file_that_is_not_toml_is_named(tmp_path, content, told):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=told) as caught:
        load_toml(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_says_which_file_to_give(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml is not a file; give .*runs/NAME/config\.toml"):
        load_toml(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    "content",
    [
        "model = 1",
        "model = [1]",
        "training = 1979-05-27T07:32:00Z",
        "[[model]]\nn_layers = 2",
        "[training]\nsteps = 2020-01-01",
        "[training]\nsteps = [3]",
        f"[training]\nsteps = {'9' * 5000}",
        f"[training]\nsteps = 0x{'f' * 5000}",
        f"[training]\nprompts = [0x{'f' * 5000}]",
        "[model.n_layers]\nx = 1",
        f"a{'.a' * 20_000} = 1",
    ],
    ids=lambda content: content[:24],
)
def test_what_is_no_configuration_is_one_message(content, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        layer = load_toml(path)
        choose(Machine(cores=1, memory_bytes=2**30, peak_flops=1e12), layers=[layer])
        resolve([layer])
    assert len(str(caught.value)) < 400
