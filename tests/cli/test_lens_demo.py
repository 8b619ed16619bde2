"""`chainrule lens demo …`: the classics, as they are told."""

import json
import subprocess
import sys
from fractions import Fraction

import pytest
from rich.cells import cell_len

from chainrule.cli import main
from chainrule.lens.classics.symbols import neuron_by_symbols
from chainrule.lens.classics.told_network import sparkline

pytestmark = pytest.mark.xdist_group("trained")


def told(capsys, *arguments):
    assert main(["lens", "demo", *arguments]) == 0
    return capsys.readouterr().out


def test_the_neuron_is_found_five_ways(capsys):
    out = told(capsys, "neuron")
    for way in ("by hand", "by the rules", "by autograd"):
        assert f"  {way:<13} -0.08982628100775408              -0.08166025546159461" in out
    assert "by SymPy      -0.0898262810077541158836625094778 -0.0816602554615946508033295540708" in out
    assert "∂loss/∂w = x*(a - y), ∂loss/∂b = a - y" in out


def test_the_neuron_as_json_has_the_distances_in_ulps(capsys):
    facts = json.loads(told(capsys, "neuron", "--json"))
    assert set(facts["ways"]) == {"by hand", "by the rules", "by autograd", "by numbers"}
    for one in facts["sympy"].values():
        assert one["ulps_at_activation"] < 1 and one["ulps_exact"] < 4


def test_sympys_derivative_at_the_rounded_activation_is_near_the_exact_one():
    for one in neuron_by_symbols({"w": 2.2, "b": 0.0, "x": 1.1, "y": 1.0}, 0.9183397445384054):
        assert float(Fraction(one["at_activation"])) == pytest.approx(float(one["digits"]), rel=1e-15)
        assert float(Fraction(one["exact"])) == float(one["digits"])


def test_the_network_goes_through_five_stages_and_learns(capsys):
    out = told(capsys, "network")
    places = [out.index(f"\n{number}. ") for number in range(1, 6)]
    assert places == sorted(places) and "What zero_grad() prevents" in out[places[-1] :]
    assert "61 weights" in out and "‖gradient‖ = 2.984423" in out
    facts = json.loads(told(capsys, "network", "--json"))
    assert facts["losses"][-1] <= 0.01 < facts["losses"][0] and facts["output"] > 0.99
    assert facts["zero_grad"]["without"] == pytest.approx(2 * facts["zero_grad"]["first"])
    assert max(facts["differences_from_by_hand"].values()) < 1e-9


def test_a_gpt_of_the_user_is_summed_up_followed_and_proved(runs_folder, capsys):
    out = told(capsys, "gpt", "--run", str(runs_folder / "first"))
    assert "blocks.0.attention.qkv" in out and "so ∂loss/∂blocks.0.attention.qkv.weight[" in out
    assert "the gradients of 15 tensors agree" in out


@pytest.mark.parametrize("words", [("neuron",), ("network",), ("network", "--seed", "7")], ids=" ".join)
def test_the_classics_fit_a_wide_terminal(words, capsys):
    assert max(cell_len(line) for line in told(capsys, *words).splitlines()) <= 100


@pytest.mark.parametrize("classic", ["neuron", "network", "gpt"])
def test_a_classic_is_drawn_as_a_page_of_its_own(classic, tmp_path, capsys):
    page = tmp_path / f"{classic}.html"
    assert told(capsys, classic, "--out", str(page)).strip() == str(page)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_figures_and_a_picture_at_once_are_refused(tmp_path, capsys):
    assert main(["lens", "demo", "neuron", "--json", "--out", str(tmp_path / "neuron.html")]) == 2
    assert "--json prints figures and nothing else" in capsys.readouterr().err


def test_a_sparkline_falls_as_the_numbers_do():
    assert sparkline([8, 4, 0], 10) == "█▅▁"
    assert len(sparkline([1.0] * 500, 60)) == 60


def test_the_demo_of_the_neuron_loads_no_configuration_and_no_model():
    """They take a third of what it loads beyond torch, and it has no use for them."""
    asked = "print(*sorted({'pydantic', 'chainrule.config', 'chainrule.model'} & set(sys.modules)), file=sys.stderr)"
    program = f"import sys; from chainrule.cli import main; main(['lens', 'demo', 'neuron', '--json']); {asked}"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", timeout=300, check=True
    )
    assert json.loads(ran.stdout)["ways"]
    assert not ran.stderr.strip()
