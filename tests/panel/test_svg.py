import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from chainrule.panel.svg import last_step, panel_svg
from chainrule.run import RunFolder, append_row


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path)
    plan = {
        "architecture": "qwen3",
        "parameters": 1000,
        "steps": 40,
        "batch_tokens": 512,
        "tokens": 20_480,
        "seconds": 9,
    }
    machine = {"cpu": "AMD EPYC", "cores": 2, "device": "cpu", "reason": "no GPU is here", "precision": "float32"}
    folder.machine.write_text(json.dumps({"machine": machine, "plan": plan}))
    for step in range(1, 41):
        append_row(folder.metrics, {"kind": "train", "step": step, "tokens": step * 512, "loss": 9 / step})
        append_row(folder.samples, {"step": step, "prompt": "def ", "text": f"sample_{step}(<b>&\x1b[1m"})
    return folder


def test_the_picture_shows_the_panel_at_the_asked_step(run):
    picture = panel_svg(run, until_step=30)
    words = "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")
    for part in ("no GPU is here", "qwen3", "step 30/40", "sample_30(<b>&·[1m"):
        assert part in words
    assert "sample_31" not in words
    assert last_step(run) == 40


def test_the_picture_asks_nothing_of_a_network(run):
    picture = panel_svg(run)
    assert "@font-face" not in picture
    assert set(re.findall(r'https?://[^"\s<)]+', picture)) <= {
        "http://www.w3.org/2000/svg",
        "https://www.textualize.io",
    }
