import pytest

from chainrule.config import Config, Layer, resolve, to_toml
from chainrule.report.settings import read_settings


def write(tmp_path, *layers):
    resolved = resolve(layers)
    path = tmp_path / "config.toml"
    path.write_text(to_toml(resolved.config, resolved.sources))
    return resolved.config, {f"{s.section}.{s.key}": s for s in read_settings(path)}


def test_every_setting_is_read_with_its_value_and_help(tmp_path):
    config, settings = write(tmp_path)
    for section in Config.model_fields:
        for key, value in getattr(config, section).model_dump(mode="json").items():
            if value is not None:
                assert settings[f"{section}.{key}"].value == value
                assert settings[f"{section}.{key}"].help


def test_the_source_of_a_value_is_the_layer_that_set_it(tmp_path):
    _, settings = write(
        tmp_path, Layer("preset x", {"model": {"n_layers": 2}}), Layer("--lr", {"optimizer": {"lr": 0.5}})
    )
    assert settings["model.n_layers"].source == "preset x"
    assert settings["optimizer.lr"].source == "--lr"
    assert settings["optimizer.beta1"].source == "default"
    assert settings["model.head_dim"].source.startswith("automatic")


@pytest.mark.parametrize("value", ["a  # b", '"quoted"  # not a comment', "# ", "[x]", "\\", "x = 1", "</script>"])
def test_a_value_that_looks_like_a_comment_is_a_value(tmp_path, value):
    _, settings = write(tmp_path, Layer("flag  # 1", {"text": {"field": value}}))
    assert settings["text.field"].value == value
    assert settings["text.field"].source == "flag  # 1"


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[model", b"n_layers = = 3\n", b""])
def test_a_damaged_file_gives_no_settings(tmp_path, content):
    (tmp_path / "config.toml").write_bytes(content)
    assert read_settings(tmp_path / "config.toml") == []
    assert read_settings(tmp_path / "absent.toml") == []
