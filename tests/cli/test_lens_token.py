"""`chainrule lens token`: a text's last token, in figures, as JSON and as a page."""

import json

import pytest

from chainrule.cli import main

pytestmark = pytest.mark.xdist_group("trained")


def test_a_token_of_a_run_is_looked_at(runs_folder, tmp_path, capsys):
    run = str(runs_folder / "first")
    assert main(["lens", "token", run, "the quick brown"]) == 0
    text = capsys.readouterr().out
    assert "has the probability" in text and "token_embedding" in text and "blocks.0" in text
    assert main(["lens", "token", run, "the quick brown", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tokens"] and len(found["tokens"]) == len(found["ids"]) == len(found["depths"][0]["places"]) + 1
    page = tmp_path / "token.html"
    assert main(["lens", "token", run, "the quick brown", "--out", str(page)]) == 0
    assert 'id="picture"' in page.read_text("utf-8")
    capsys.readouterr()
    assert main(["lens", "token", run, ""]) == 2
    assert "the text is empty" in capsys.readouterr().err
