"""`chainrule lens spike` on a run whose learning rate was far too high, and on runs that have nothing to replay."""

import json
from itertools import pairwise

import pytest

from chainrule.cli import main

pytestmark = pytest.mark.xdist_group("trained")


@pytest.fixture(scope="module")
def blown(tmp_path_factory, texts, tiny):
    """A run whose learning rate is thousands of times too high in its steps 31 and 32."""
    folder = tmp_path_factory.mktemp("blown")
    longer = ["36" if before == "--training.steps" else word for before, word in pairwise(["", *tiny])]

    def factor(step, steps, schedule):
        return 3000.0 if step in (30, 31) else 1.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainrule.train.session.rate_factor", factor)
        assert main(["pretrain", str(texts), "--name", "blown", "--runs-folder", str(folder), *longer]) == 0
    return folder / "blown"


def test_a_learning_rate_that_is_too_high_is_blamed_with_its_evidence(blown, capsys):
    assert main(["lens", "spike", str(blown)]) == 0
    out, err = capsys.readouterr()
    assert "cause: learning rate" in out
    assert "float64" in out and "ordinary batch 4" in out
    assert "an update moved" in out and "optimizer.lr" in out
    assert "replaying in float64" in err
    assert max(map(len, out.splitlines())) < 200


def test_the_same_as_json_with_standard_output_clean(blown, capsys):
    step = int(sorted(path.name for path in (blown / "spikes").iterdir())[0].removeprefix("step-"))
    assert main(["lens", "spike", str(blown), "--step", str(step), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cause"], found["step"]) == ("learning rate", step)
    assert found["same_numbers"] is True
    assert set(found["diagnosis"]["replays"]) == {"float32", "float64"}


def test_a_bundle_is_a_model_that_other_verbs_open(blown, capsys):
    bundle = next((blown / "spikes").iterdir())
    assert main(["generate", str(bundle), "the ", "--max-new-tokens", "3"]) == 0


def test_a_step_without_a_bundle_is_refused_with_those_there_are(blown, capsys):
    assert main(["lens", "spike", str(blown), "--step", "1"]) == 2
    assert "it has: " in capsys.readouterr().err


def test_a_run_that_never_spiked_has_nothing_to_replay(runs_folder, capsys):
    assert main(["lens", "spike", str(runs_folder / "first")]) == 2
    assert "holds no bundle" in capsys.readouterr().err
