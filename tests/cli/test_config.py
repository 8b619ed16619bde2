"""`config show` prints a file that can be used, with sources, sentences and exact counts."""

import json
import tomllib

import pytest

from chainrule.cli import main
from chainrule.config import PRESETS, Config, Layer, preset, resolve, section_type


def shown(capsys, *arguments: str) -> str:
    assert main(["config", "show", *arguments]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", PRESETS)
def test_what_is_shown_is_a_file_that_gives_the_same(name, capsys):
    read = tomllib.loads(shown(capsys, "--preset", name))
    assert resolve([Layer("file", read)]).config == resolve([preset(name)]).config


def test_counts_are_exact_and_by_component(capsys):
    told = shown(capsys, "--preset", "gpt2-124m")
    assert "124,412,160" in told
    for component in ("embedding", "positions", "attention", "feed-forward", "norms", "head"):
        assert f"# {component} " in told


def test_every_setting_has_its_sentence(capsys):
    words = " ".join(shown(capsys).replace("\n# ", " ").split())
    for section in Config.model_fields:
        for field in section_type(section).model_fields.values():
            assert " ".join((field.description or "?").split()) in words


def test_the_sentences_can_be_left_out(capsys):
    assert "Attention heads of each block" not in shown(capsys, "--no-explain")


def test_every_value_says_where_it_came_from(capsys, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[model]\nn_heads = 2\n")
    told = shown(capsys, str(file), "--preset", "cpu-tiny", "--model.n-layers", "2", "--no-explain")
    assert "emb_dim = 128  # preset cpu-tiny\n" in told
    assert f"n_heads = 2  # {file}\n" in told
    assert "n_layers = 2  # flag\n" in told
    assert "seed = 0  # default\n" in told
    assert "# hidden_dim = 384  # automatic" in told


def test_a_run_is_shown_as_it_was_saved(capsys, tmp_path):
    (tmp_path / "config.toml").write_text("[model]\nn_layers = 3\n")
    assert "n_layers = 3" in shown(capsys, str(tmp_path))


def test_json_has_all_of_it(capsys):
    told = json.loads(shown(capsys, "cpu-tiny", "--json"))
    assert told["parameters"]["total"] == sum(v for k, v in told["parameters"].items() if k != "total")
    assert told["config"]["model"]["emb_dim"] == 128
    assert told["sources"]["model.emb_dim"] == "preset cpu-tiny"


def test_a_typo_in_a_file_names_the_file_and_the_word(capsys, tmp_path):
    file = tmp_path / "my.toml"
    file.write_text("[training]\nlerning_rate = 1\n[optimizer]\nlr = 'fast'\n")
    assert main(["config", "show", str(file)]) == 2
    assert f"{file}: unknown setting 'training.lerning_rate'" in capsys.readouterr().err
