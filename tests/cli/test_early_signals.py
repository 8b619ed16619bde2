"""Ctrl-C is answered from the command's first line to its last by no traceback, whatever is being imported."""

import signal
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


IN_A_DESTRUCTOR = """
import signal, sys, time
from chainrule.cli import command

class Last:
    def __del__(self):
        signal.raise_signal(int(sys.argv[1]))

def verb(given):
    last = Last()
    del last
    time.sleep(20)
    return 0

command._called = verb
code = command.main([])
print("code", code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other things there")
@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_that_comes_in_a_librarys_destructor_is_not_lost_and_shows_no_traceback(number):
    done = subprocess.run(
        [sys.executable, "-c", IN_A_DESTRUCTOR, str(number)],
        **{"capture_output": True, "text": True, "timeout": 60},
    )
    assert done.stdout == f"code {128 + number}\n" and done.stderr == "chainrule: interrupted\n"


# The hook that hears of a lost signal is itself interrupted: by a second one, as soon as it does anything.
IN_THE_HOOK = IN_A_DESTRUCTOR.replace(
    "code = command.main",
    """
from chainrule.cli import again
real, left = again._number_of, 3
def interrupted(fault):
    global left
    left -= 1
    if left >= 0:
        signal.raise_signal(int(sys.argv[1]))
    return real(fault)
again._number_of = interrupted
code = command.main""",
)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other things there")
@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_that_comes_while_another_is_sent_again_is_not_lost(number):
    command = [sys.executable, "-c", IN_THE_HOOK, str(number)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == f"code {128 + number}\n" and done.stderr == "chainrule: interrupted\n"


# A library asks an object for what it holds, and says something else of whatever is raised there.
SWALLOWED = IN_A_DESTRUCTOR.replace(
    "    last = Last()\n    del last",
    """
    import torch
    class Sequence:
        def __len__(self):
            return 1
        def __getitem__(self, place):
            signal.raise_signal(int(sys.argv[1]))
    try:
        torch.tensor(Sequence())
    except ValueError as fault:
        print(fault)
        if len(sys.argv) > 2:
            from chainrule.base import CheckpointError
            raise CheckpointError("not a whole file") from None""",
)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are other things there")
@pytest.mark.parametrize("number", [2, 15])
@pytest.mark.parametrize("told", [[], ["as damage"]])
def test_a_signal_that_a_library_takes_for_something_else_is_not_lost(number, told):
    command = [sys.executable, "-c", SWALLOWED, str(number), *told]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("could not determine the shape") and done.stdout.endswith(f"code {128 + number}\n")
    assert done.stderr == "chainrule: interrupted\n"


TORN = """
import signal, sys, time
from chainrule.base import Interrupted
from chainrule.cli import main

class Torn:
    def __del__(self):
        raise Interrupted(signal.SIGTERM)

real, at_the_end = signal.signal, sys.argv[1] == "end"
def spied(number, handler):
    before = real(number, handler)
    if number == signal.SIGTERM and (handler is signal.SIG_DFL) == at_the_end:
        Torn()
    return before

signal.signal = spied
code = main(["--version"])
time.sleep(0.5)
sys.exit(code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("place", ["beginning", "end"])
def test_a_signal_that_is_lost_while_handlers_are_set_or_put_back_comes_again_and_is_no_traceback(place):
    done = subprocess.run([sys.executable, "-c", TORN, place], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, done.stderr
    assert done.returncode in (128 + signal.SIGTERM, -signal.SIGTERM), done.returncode
