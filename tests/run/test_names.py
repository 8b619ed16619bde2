"""A run gets a name of its own."""

import os

import pytest

from chainrule.base import RunError
from chainrule.run import find_run, last_begun, model_source, new_run
from chainrule.run.names import name_of


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("my_texts/", "my_texts"),
        ("/data/books/*.txt", "books"),
        ("stories.jsonl.gz", "stories"),
        ("python", "python"),
        ("a b/c d.txt", "c-d"),
        ("/", "run"),
        ("~/.hidden", "run"),
        ("日本語/", "日本語"),
        ("x" * 300, "x" * 40),
    ],
)
def test_a_run_is_called_after_its_text(path, word):
    assert name_of([path]) == word


def test_the_next_free_number_is_taken(tmp_path):
    for number in (1, 2):
        (tmp_path / f"books-{number}").mkdir()
    assert new_run(None, tmp_path, ["books"]).path == tmp_path / "books-3"


def test_a_given_name_lies_in_the_folder_and_a_path_is_a_path(tmp_path):
    assert new_run("mine", tmp_path, ["x"]).path == tmp_path / "mine"
    assert new_run("mine/", tmp_path, ["x"]).path == tmp_path / "mine"
    assert new_run(f"{tmp_path}/else/where", tmp_path, ["x"]).path == tmp_path / "else" / "where"


def test_an_empty_folder_may_become_a_run_and_a_full_one_not(tmp_path):
    (tmp_path / "mine").mkdir()
    assert new_run("mine", tmp_path, ["x"]).name == "mine"
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(RunError, match="no run overwrites another"):
        new_run("mine", tmp_path, ["x"])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "./x"])
def test_what_is_no_name_is_refused_with_the_options_that_mean_the_same(name, tmp_path):
    with pytest.raises(RunError, match=r"--runs-folder .* --name "):
        new_run(name, tmp_path, ["x"])
    assert list(tmp_path.iterdir()) == []


def test_a_start_that_never_came_to_a_step_does_not_block_its_name(tmp_path):
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "config.toml").touch()
    assert new_run("mine", tmp_path, ["x"]).name == "mine"
    (tmp_path / "mine" / "metrics.jsonl").touch()
    with pytest.raises(RunError, match="--resume"):
        new_run("mine", tmp_path, ["x"])


def test_no_run_at_all_is_said(tmp_path):
    with pytest.raises(RunError, match=r"there is no run in .* yet"):
        last_begun(tmp_path)


def test_last_is_the_newest_run_and_a_run_of_that_name_comes_first(tmp_path):
    for age, name in enumerate(("new", "middle", "old")):
        (tmp_path / name).mkdir()
        config = tmp_path / name / "config.toml"
        config.touch()
        os.utime(config, (1e9 - age, 1e9 - age))
    assert find_run("last", tmp_path).name == "new" and model_source("last~2", tmp_path) == str(tmp_path / "old")
    with pytest.raises(RunError, match=r"last~3 is none of the 3 runs in .* last is the newest: new"):
        find_run("last~3", tmp_path)
    (tmp_path / "last").mkdir()
    (tmp_path / "last" / "config.toml").touch()
    os.utime(tmp_path / "last" / "config.toml", (1, 1))
    assert find_run("last", tmp_path).name == "last" and model_source("last", tmp_path) == str(tmp_path / "last")
