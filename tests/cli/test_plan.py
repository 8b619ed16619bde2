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


def test_a_plan_for_machines_is_one_object(capsys, tmp_path):
    prices = tmp_path / "prices.toml"
    prices.write_text("[devices.H100]\nprice = 2.5\n")
    told = planned(capsys, "--machines", "8xH100", "--days", "3", "--devices", str(prices))
    assert told["met"] is True and told["seconds"] == pytest.approx(3 * 86400, rel=0.02)
    assert told["cost"] == pytest.approx(8 * 72 * 2.5, rel=0.02)
    assert told["parallel"].startswith("fsdp=") and told["memory_bytes"]["total"] < 80e9
    assert told["loss"]["low"] < told["loss"]["value"] < told["loss"]["high"]


def test_a_plan_for_machines_in_words_names_what_binds(capsys):
    assert main(["plan", "--machines", "8xH100", "--days", "1", "--loss", "2.25"]) == 2
    out, err = capsys.readouterr()
    assert "parameters" in out and "Memory of the fullest device" in out
    assert err.startswith("chainrule: time binds: ")


def test_memory_and_a_deadline_of_this_machine(capsys):
    told = planned(capsys, "--fit", "2GB", "--deadline", "3h")
    more = planned(capsys, "--fit", "64GiB", "--deadline", "3h")
    assert told["machine"]["memory_bytes"] == 2 * 10**9 and more["machine"]["memory_bytes"] == 64 * 2**30
    assert told["parameters"]["total"] <= more["parameters"]["total"]
    assert told["memory_bytes"]["total"] <= 2e9


@pytest.mark.parametrize(
    "arguments",
    [
        ["--loss", "3"],
        ["--days", "2"],
        ["--machines", "8xH100"],
        ["--machines", "8xH100", "--days", "1", "--deadline", "3h"],
        ["--machines", "8xHal", "--days", "1"],
        ["--machines", "8xH100", "--days", "0"],
        ["--machines", "8xH100", "--days", "1", "--devices", "nowhere.toml"],
    ],
)
def test_a_plan_for_machines_that_makes_no_sense_is_refused(arguments, capsys):
    assert main(["plan", *arguments]) == 2
    assert capsys.readouterr().err.startswith("chainrule: ")


def test_a_simulation_stands_beside_the_plan(capsys):
    asked = ("cpu-tiny", "--machines", "16xH100", "--tokens", "1B", "--parallel", "fsdp=16", "--simulate")
    told = planned(capsys, *asked)
    seen = told["simulated"]
    assert told["parallel"] == "fsdp=16" and {one["link"] for one in seen["sent"]} == {"network"}
    assert seen["memory_bytes"]["weights"] == pytest.approx(told["memory_bytes"]["weights"], rel=0.01)


def test_a_layout_of_other_ranks_than_there_are_is_refused(capsys):
    assert main(["plan", "--machines", "8xH100", "--tokens", "1B", "--parallel", "fsdp=4"]) == 2
    assert "4 ranks, and there are 8" in capsys.readouterr().err
