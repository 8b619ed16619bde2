"""Layers become one configuration, and every mistake is one clear line."""

import pytest

from chainrule.base import ConfigError
from chainrule.config import Config, Layer, resolve


def refusal(**sections) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve([Layer("flag", sections)])
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_the_later_layer_wins_and_is_named_as_the_source():
    first = Layer("preset tiny", {"model": {"n_layers": 2, "emb_dim": 96}})
    resolved = resolve([first, Layer("flag", {"model": {"n_layers": 3}})])
    assert (resolved.config.model.n_layers, resolved.config.model.emb_dim) == (3, 96)
    assert resolved.sources == {"model.n_layers": "flag", "model.emb_dim": "preset tiny"}


def test_no_layer_gives_the_defaults():
    assert resolve([]).config == Config()


def test_what_follows_from_other_settings_is_known_as_automatic():
    model = resolve([Layer("flag", {"model": {"emb_dim": 384, "head_dim": 32}})]).config.model
    assert model.automatic == {"n_kv_heads", "hidden_dim"}
    assert model.hidden_dim == 4 * 384


@pytest.mark.parametrize(
    ("typo", "meant"),
    [("n_layer", "model.n_layers"), ("emd_dim", "model.emb_dim"), ("dropout_rate", "model.drop_rate")],
)
def test_a_mistyped_setting_is_answered_with_the_nearest(typo, meant):
    assert f"Did you mean {meant!r}?" in refusal(model={typo: 1})


def test_a_setting_in_the_wrong_section_is_answered_with_the_right_one():
    assert "Did you mean 'optimizer.lr'?" in refusal(training={"lr": 1.0})


def test_a_mistyped_section_is_answered_with_the_nearest():
    assert "Did you mean 'optimizer'?" in refusal(optimiser={"lr": 1.0})


def test_a_setting_outside_any_section_is_answered_with_its_section():
    assert "Did you mean 'model.n_layers'?" in refusal(n_layers=3)


def test_a_section_given_as_a_value_is_refused():
    assert "model is a section; write [model]" in refusal(model=3)


def test_a_mistyped_choice_is_answered_with_the_nearest():
    assert "Did you mean 'rmsnorm'?" in refusal(model={"norm": "rmsnom"})


def test_one_mistake_is_one_line():
    message = refusal(model={"emb_dim": "wide"})
    assert message.count("\n") == 0
    assert message.startswith("model.emb_dim = 'wide' (flag):")


def test_two_mistakes_are_two_lines():
    assert len(refusal(model={"n_heads": 0}, optimizer={"lr": -1.0}).splitlines()) == 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e-3, 0, 11, "fast", True])
def test_an_absurd_learning_rate_is_refused(value):
    assert "lr" in refusal(optimizer={"lr": value})


@pytest.mark.parametrize(
    "model",
    [
        {"drop_rate": 1.0},
        {"drop_rate": float("nan")},
        {"context_length": 0},
        {"n_layers": 0},
        {"n_layers": -1},
        {"n_layers": 2.5},
        {"n_layers": True},
        {"n_heads": 0},
        {"emb_dim": 10**30},
        {"vocab_size": "many"},
        {"tied_embeddings": "perhaps"},
    ],
)
def test_an_absurd_shape_is_refused(model):
    assert next(iter(model)) in refusal(model=model)


def test_a_number_written_as_text_is_read_as_that_number():
    resolved = resolve([Layer("file", {"optimizer": {"lr": "1e-4"}, "model": {"bias": "no"}})])
    assert resolved.config.optimizer.lr == 1e-4
    assert resolved.config.model.bias is False


def test_heads_that_do_not_divide_are_refused_with_some_that_do():
    assert "try n_heads=6" in refusal(model={"n_heads": 7})


def test_one_string_in_place_of_a_list_is_answered_with_the_list():
    assert "Write ['stories']" in refusal(text={"paths": "stories"})


def test_a_name_that_is_not_utf8_is_refused_before_it_stands_in_a_file():
    assert "'a\\udc80'" in refusal(text={"paths": ("a\udc80",)})


def test_all_mistakes_of_a_file_are_said_at_once():
    wrong = {"optimiser": {"lr": 3}, "model": {"n_layer": 3, "emb_dim": "x"}, "training": {"steps": -1}}
    with pytest.raises(ConfigError) as refused:
        resolve([Layer("my.toml", wrong)])
    said = str(refused.value).splitlines()
    assert len(said) == 4
    for words in ("'optimizer'", "'model.n_layers'", "model.emb_dim = 'x'", "training.steps = -1"):
        assert sum(words in line for line in said) == 1
