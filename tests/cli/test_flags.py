"""Flags are made from the schema, each and every one, and carry only what was typed."""

import pytest

from chainrule.base import ConfigError
from chainrule.cli.flags import SettingFlags, flag_layer
from chainrule.cli.verbs import command_line
from chainrule.config import Config, Layer, section_type

KEYS = [(section, key) for section in Config.model_fields for key in section_type(section).model_fields]


def typed(*arguments: str) -> Layer:
    """The flag layer of `chainrule plan ARGUMENTS`."""
    _, bound, _ = command_line("plan").parse_args(["plan", *arguments])
    return flag_layer(bound.arguments.get("flags"))


def test_every_setting_is_a_flag_with_help_and_default():
    for section, key in KEYS:
        field = section_type(section).model_fields[key]
        annotation = SettingFlags.model_fields[section].annotation
        flags = next(part for part in annotation.__args__ if part is not type(None))
        told = flags.model_fields[key].description
        assert (field.description or "?") in told
        assert "Default: " in told or field.default is None or field.default_factory


def test_only_what_was_typed_is_in_the_layer():
    assert typed() == Layer("flag", {})
    assert typed("--model.n-layers", "8", "--optimizer.lr", "1e-3").values == {
        "model": {"n_layers": 8},
        "optimizer": {"lr": 1e-3},
    }


@pytest.mark.parametrize("spelling", ["--model.n-layers", "--model.n_layers"])
def test_both_spellings_of_a_name_are_known(spelling):
    assert typed(spelling, "8").values == {"model": {"n_layers": 8}}


def test_truth_values_have_a_no():
    assert typed("--model.no-tied-embeddings", "--model.qk-norm").values == {
        "model": {"tied_embeddings": False, "qk_norm": True}
    }


def test_lists_are_given_by_repeating():
    values = typed("--training.prompts", "a b", "--training.prompts", "").values
    assert values == {"training": {"prompts": ("a b", "")}}


def test_a_value_may_be_negative_and_is_then_refused_by_its_range():
    assert typed("--optimizer.lr", "-1").values == {"optimizer": {"lr": -1.0}}


def test_a_setting_given_twice_is_refused():
    layer = typed("--machine.device", "cpu")
    assert layer.values == {"machine": {"device": "cpu"}}
    flags = SettingFlags.model_validate({"machine": {"device": "cpu"}})
    with pytest.raises(ConfigError, match=r"machine\.device was given twice, as 'cpu' .* and as 'cuda'"):
        flag_layer(flags, {"machine.device": "cuda"})


def test_a_shortcut_joins_the_layer():
    assert flag_layer(None, {"machine.device": "cuda", "text.on_bad": None}) == Layer(
        "flag", {"machine": {"device": "cuda"}}
    )
