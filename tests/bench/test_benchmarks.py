from pathlib import Path

import pytest

from chainrule.base import ConfigError, DeviceError, Pressure
from chainrule.bench import checked_names
from chainrule.bench.asked import Asked
from chainrule.bench.benchmarks import BENCHMARKS, peers, refuse_company
from chainrule.cli import main


def test_names_are_checked_and_all_is_all_of_them():
    assert checked_names(["starting", "training", "starting"]) == ("starting", "training")
    assert checked_names(["all"]) == tuple(BENCHMARKS)
    with pytest.raises(ConfigError, match=r"unknown benchmark 'trainig'\..*training.*There are: training, until-loss"):
        checked_names(["trainig"])


@pytest.mark.parametrize("word", ["nanogpt", "nanogpt=", "litgpt=/tmp", "=/tmp"])
def test_a_peer_is_a_name_and_a_place(word):
    with pytest.raises(ConfigError, match="write nanogpt=PATH"):
        peers([word])


def test_a_peer_is_found_where_it_is_said_to_be(peer):
    assert peers([f"nanogpt={peer}"]) == {"nanogpt": peer}


def test_beside_other_programs_nothing_is_measured_unless_asked_for():
    told = []
    for quiet in (None, Pressure(0.1, 0.9, 5.0)):
        refuse_company(quiet, told.append, busy=False)
    assert told == []
    held = Pressure(0.5, 0.0, 5.0)
    with pytest.raises(DeviceError, match=r"in 50% of the last ten seconds .* or measure all the same with --busy"):
        refuse_company(held, told.append, busy=False)
    refuse_company(held, told.append, busy=True)
    assert "contended" in told[0]


def asked(text, tmp_path, **more):
    return Asked(text, tmp_path, "bfloat16", 1, 1e11, **more)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_yardstick_is_the_peer_where_it_is_given(name, text, tmp_path, peer):
    alone = list(BENCHMARKS[name](asked(text, tmp_path)))
    beside = list(BENCHMARKS[name](asked(text, tmp_path, nanogpt=peer)))
    assert [contest.name for contest in alone] == [contest.name for contest in beside]
    for without, with_ in zip(alone, beside, strict=True):
        names = [side.name for side in with_.sides]
        assert len(set(names)) == len(names)
        if len(with_.sides) > len(without.sides):
            assert names[0].startswith("nanoGPT")
    peers_take_part = any(len(one.sides) < len(two.sides) for one, two in zip(alone, beside, strict=True))
    assert peers_take_part != (name in ("decoding", "growth"))


def test_where_auto_takes_float32_there_is_no_side_of_its_own(text, tmp_path):
    first = next(BENCHMARKS["training"](Asked(text, tmp_path, "float32", 1, 1e11)))
    assert [side.name for side in first.sides] == ["ours float32", "ours modern + Muon, float32"]
    assert first.notes[0] == "precision = auto takes float32 here: no side of its own"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a benchmark: training"),
        (["speed"], "unknown benchmark 'speed'"),
        (["training", "--rounds", "0"], "--rounds 0: give 1 or more"),
        (["training", "--against", "nanogpt=/nowhere"], "model.py is not there"),
        (["training", "--text", "/nowhere.txt"], "no such file"),
    ],
)
def test_a_mistake_is_told_before_anything_is_measured(words, said, capsys):
    assert main(["bench", *words]) == 2
    assert said in capsys.readouterr().err


def test_the_page_is_written_of_what_is_kept(tmp_path, capsys):
    place = tmp_path / "page.html"
    assert main(["bench", "--page", str(place), "--results", str(tmp_path / "none")]) == 0
    assert "No result yet" in place.read_text() and Path(capsys.readouterr().out.strip()) == place
