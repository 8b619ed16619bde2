"""Flags are made from the schema, each and every one, and carry only what was typed."""

import dataclasses
from typing import get_args

import pytest
from cyclopts import Parameter

from chainrule.base import ConfigError
from chainrule.cli import main
from chainrule.cli.flags import SettingFlags, flag_layer
from chainrule.cli.verbs import command_line
from chainrule.config import Config, Layer, section_type

KEYS = [(section, key) for section in Config.model_fields for key in section_type(section).model_fields]


def typed(*arguments: str) -> Layer:
    """The flag layer of `chainrule plan ARGUMENTS`."""
    _, bound, _ = command_line("plan").parse_args(["plan", *arguments])
    return flag_layer(bound.arguments.get("flags"))


def parameter_of(section: str, key: str) -> Parameter:
    """What the help says of a flag."""
    sections = {one.name: one.type for one in dataclasses.fields(SettingFlags)}
    made = next(part for part in get_args(get_args(sections[section])[0]) if part is not type(None))
    return next(get_args(one.type)[1] for one in dataclasses.fields(made) if one.name == key)


def test_every_setting_is_a_flag_with_help_and_default():
    for section, key in KEYS:
        field = section_type(section).model_fields[key]
        told = parameter_of(section, key).help
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
    _, bound, _ = command_line("plan").parse_args(["plan", "--machine.device", "cpu"])
    flags = bound.arguments["flags"]
    with pytest.raises(ConfigError, match=r"machine\.device was given twice, as 'cpu' .* and as 'cuda'"):
        flag_layer(flags, {"machine.device": "cuda"})


def test_a_shortcut_joins_the_layer():
    assert flag_layer(None, {"machine.device": "cuda", "text.on_bad": None}) == Layer(
        "flag", {"machine": {"device": "cuda"}}
    )


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--model.n-layers", "2.5", "'2.5': input should be a valid integer"),
        ("--optimizer.lr", "fast", "'fast': input should be a valid number"),
        ("--optimizer.kind", "muom", "input should be 'adamw' or 'muon'. Did you mean 'muon'?"),
    ],
)
def test_what_is_no_value_of_a_flag_is_refused_with_what_is(option, value, told, capsys):
    assert main(["plan", option, value]) == 2
    assert told in capsys.readouterr().err
