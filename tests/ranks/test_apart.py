"""What processes say to each other at the start, and that a run in one process has nothing of all this."""

import socket
import subprocess
import sys

import pytest
from several import own_environment

from chainrule.base import DeviceError, World
from chainrule.config import Config
from chainrule.ranks.group import Group
from chainrule.ranks.leader import _check_same, versions


def test_a_run_in_one_process_loads_nothing_of_torchs_distributed_tensors():
    words = "import sys, chainrule.train; print([m for m in sys.modules if m.startswith('torch.distributed.tensor')])"
    done = subprocess.run([sys.executable, "-c", words], env=own_environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [({"run": "/nowhere/at/all"}, "not to be seen"), ({"versions": {"torch": "1.0"}}, "install the same")],
)
def test_what_is_another_on_a_rank_is_said(change, said, tmp_path):
    asked = {"run": str(tmp_path), "versions": versions(), "threads": 1, "device": "cpu", "precision": "float32"}
    with pytest.raises(DeviceError, match=said):
        _check_same({**asked, "kernels": "torch", **change}, Config())


def test_a_port_that_is_in_use_is_told_with_what_to_look_at(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(taken.getsockname()[1]))
        with pytest.raises(DeviceError, match="MASTER_PORT"), Group.met(World(0, 2, 0, 2)):
            raise AssertionError("nobody is there to be met")
