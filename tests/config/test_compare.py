"""What differs between two configurations, and what a resumed run may take up."""

import pytest

from chainrule.base import ConfigError
from chainrule.config import (
    ROUNDED_ON_RESUME,
    SAFE_ON_RESUME,
    Config,
    Layer,
    check_resume,
    differences,
    resolve,
    section_type,
)


def config(**sections) -> Config:
    return resolve([Layer("flag", sections)]).config


def test_a_configuration_does_not_differ_from_itself():
    assert differences(Config(), Config()) == {}


def test_a_difference_has_both_values_and_what_follows_is_one_too():
    wide = config(model={"emb_dim": 384})
    assert differences(Config(), wide) == {
        "model.emb_dim": (768, 384),
        "model.head_dim": (64, 32),
        "model.hidden_dim": (3072, 1536),
    }


def test_every_safe_setting_exists():
    known = {f"{section}.{key}" for section in Config.model_fields for key in section_type(section).model_fields}
    assert known >= SAFE_ON_RESUME | ROUNDED_ON_RESUME
    assert not SAFE_ON_RESUME & ROUNDED_ON_RESUME


def test_another_machine_and_another_length_are_taken_up():
    wanted = config(machine={"threads": 3, "micro_batch": 2, "device": "cpu"}, training={"steps": 2000})
    assert set(check_resume(Config(), wanted)) == {
        "machine.threads",
        "machine.micro_batch",
        "machine.device",
        "training.steps",
    }


def test_safe_changes_are_taken_up():
    wanted = config(training={"eval_every": 7, "prompts": ["a"], "keep_last": 5})
    assert set(check_resume(Config(), wanted)) == {"training.eval_every", "training.prompts", "training.keep_last"}


@pytest.mark.parametrize(
    "change",
    [
        {"training": {"seed": 1}},
        {"training": {"batch_tokens": 1024}},
        {"optimizer": {"lr": 0.1}},
        {"model": {"n_layers": 3}},
        {"text": {"paths": ["other"]}},
    ],
    ids=str,
)
def test_what_would_make_it_another_run_is_refused(change):
    with pytest.raises(ConfigError, match="goes on as it began, and this would change"):
        check_resume(Config(), config(**change))
