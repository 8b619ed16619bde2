"""How a run comes by its text."""

import json
import subprocess
import sys

from chainrule.train import pretrain

UNGUARDED = """
import json, sys
from pathlib import Path
from chainrule.config import Layer
from chainrule.train import pretrain
values = json.loads(sys.argv[1])
summary = pretrain([Layer("script", values)], Path(sys.argv[2]))
print(json.dumps(summary["val_loss"]))
"""


def test_a_script_without_a_guard_trains_with_several_workers(layers, tmp_path):
    script, merged = tmp_path / "script.py", {}
    script.write_text(UNGUARDED)
    for layer in layers(machine={"workers": 2}, training={"steps": 2}):
        for section, values in layer.values.items():
            merged.setdefault(section, {}).update(values)
    command = [sys.executable, str(script), json.dumps(merged), str(tmp_path / "script")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    alone = pretrain(layers(machine={"workers": 1}, training={"steps": 2}), tmp_path / "here")
    assert done.stdout.split() == [json.dumps(alone["val_loss"])]
