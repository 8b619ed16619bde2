"""Ctrl-C is answered from the command's first line to its last by no traceback, whatever is being imported."""

import subprocess
import sys

import pytest

# What the console entry does, in an interpreter of its own in which Ctrl-C comes at the N-th import from there on.
ENTRY = """
import os, signal, sys
left = int(sys.argv[1])
def hook(event, arguments):
    global left
    if event == "import":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)
import chainrule
sys.addaudithook(hook)
from chainrule.__main__ import main
sys.argv[1:] = ["runs", "--runs-folder", sys.argv[2]]
sys.exit(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
@pytest.mark.parametrize("place", [2, 30, 90, 100000])
def test_ctrl_c_while_the_command_is_imported_ends_it_without_a_word_of_python(tmp_path, place):
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, str(place), str(tmp_path)],
        **{"capture_output": True, "text": True, "timeout": 60},
    )
    # By the system itself before the command can answer, by the command after that.
    assert done.returncode in ({0} if place == 100000 else {-2, 130}), done
    assert "Traceback" not in done.stderr and "KeyboardInterrupt" not in done.stderr


def test_what_ignores_ctrl_c_goes_on_ignoring_it():
    program = "import signal; signal.signal(2, signal.SIG_IGN); import chainrule.__main__; print(signal.getsignal(2))"
    told = subprocess.run([sys.executable, "-c", program], **{"capture_output": True, "text": True, "timeout": 60})
    assert told.stdout in ("Handlers.SIG_IGN\n", "1\n")


def test_who_imports_chainrule_keeps_his_ctrl_c():
    program = "import signal; import chainrule; print(signal.getsignal(2) is signal.default_int_handler)"
    told = subprocess.run([sys.executable, "-c", program], **{"capture_output": True, "text": True, "timeout": 60})
    assert told.stdout == "True\n"
