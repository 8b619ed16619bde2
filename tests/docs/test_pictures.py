"""The pictures of the README are made by one command from a run's folder."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from browser import CHROMIUM

from chainrule.base import write_json
from chainrule.run import RunFolder, append_row

SCRIPT = Path(__file__).resolve().parents[2] / "docs" / "make_pictures.py"


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(tmp_path / "runs" / "king-james-1")
    folder.path.mkdir(parents=True)
    folder.config.write_text("")
    size = {"parameters": 1000, "batch_tokens": 512, "tokens": 15_360, "seconds": 9}
    write_json(folder.machine, {"machine": {}, "plan": {"architecture": "qwen3", "steps": 30, **size}})
    write_json(folder.summary, {"status": "finished", "step": 30, "val_bits_per_byte": 1.25})
    for step in range(1, 31):
        append_row(folder.metrics, {"kind": "train", "step": step, "tokens": step * 512, "loss": 9 / step})
    return folder


def made(run, out, **environment):
    command = [sys.executable, str(SCRIPT), str(run.path), "--out", str(out)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


def test_the_panel_is_drawn_two_thirds_of_the_way_and_a_missing_browser_is_told(run, tmp_path):
    done = made(run, tmp_path, PATH="/nowhere")
    assert done.returncode == 1 and "chromium on the path" in done.stderr and "Traceback" not in done.stderr
    picture = ElementTree.fromstring((tmp_path / "panel.svg").read_text())
    assert "step 20/30" in "".join(picture.itertext()).replace("\xa0", " ")


@pytest.mark.skipif(not CHROMIUM, reason="needs chromium on this machine")
def test_the_report_is_photographed_at_its_size(run, tmp_path):
    done = made(run, tmp_path)
    assert done.returncode == 0, done.stderr
    head = (tmp_path / "report.png").read_bytes()[:24]
    assert [int.from_bytes(head[place : place + 4]) for place in (16, 20)] == [1280, 1500]
