"""`plan` says what a run needs, without training."""

import json

import pytest

from chainrule.cli import main


def planned(capsys, *arguments: str, code: int = 0) -> dict:
    assert main(["plan", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_published_count_and_the_formula(capsys):
    told = planned(capsys, "gpt2-124m", "--device", "cuda", "--peak", "400T", "--memory", "80G")
    assert told["parameters"]["total"] == 124_412_160
    assert told["flops_per_token"] == 797_815_296
    assert told["machine"]["peak_flops"] == 4e14
    assert told["fits"] is True


def test_a_model_too_large_is_told_with_numbers_and_exit_code_2(capsys):
    assert planned(capsys, "gpt2-1558m", "--memory", "8G", code=2)["fits"] is False
    assert main(["plan", "gpt2-1558m", "--memory", "8G"]) == 2
    out, err = capsys.readouterr()
    assert "1,557,380,800" in out
    assert "chainrule: a model of 1.56B parameters needs about" in err


def test_more_minutes_give_more_tokens(capsys):
    few, many = (planned(capsys, "--minutes", minutes)["tokens"] for minutes in ("2", "20"))
    assert many > 5 * few


def test_a_flag_reaches_the_plan(capsys):
    assert planned(capsys, "--model.n-layers", "2", "--preset", "cpu-tiny")["model"]["n_layers"] == 2


@pytest.mark.parametrize("arguments", [["--memory", "8 parsecs"], ["--peak", "fast"], ["--precision", "int3"]])
def test_what_makes_no_sense_is_refused(arguments, capsys):
    assert main(["plan", *arguments]) == 2
    assert capsys.readouterr().err.startswith("chainrule: ")
