"""A run folder has one writer."""

import errno
import json
import os
import subprocess
import sys

import pytest

from chainrule.base import RunError
from chainrule.run import RunFolder, is_running, run_lock

HOLD = """
import sys
from pathlib import Path
from chainrule.run import RunFolder, run_lock
with run_lock(RunFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.stdin.close()
    process.stdout.close()
    process.wait()


def test_a_second_writer_is_told_who_has_it(tmp_path, holder):
    with pytest.raises(RunError, match=f"in use by process {holder.pid} on .* since"), run_lock(RunFolder(tmp_path)):
        pass


def test_the_lock_of_a_killed_holder_is_free(tmp_path, holder):
    holder.kill()
    holder.wait()
    with run_lock(RunFolder(tmp_path)):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()


def test_the_lock_is_free_after_the_block(tmp_path):
    for _ in range(2):
        with run_lock(RunFolder(tmp_path)):
            pass
    assert not (tmp_path / "lock.json").exists()


def test_an_unreadable_note_of_the_holder_does_not_hide_the_answer(tmp_path, holder):
    (tmp_path / "lock.json").write_text("torn")
    with pytest.raises(RunError, match="in use by another process"), run_lock(RunFolder(tmp_path)):
        pass


def test_a_run_is_running_while_its_writer_lives(tmp_path, holder):
    assert is_running(RunFolder(tmp_path))
    holder.kill()
    holder.wait()
    assert not is_running(RunFolder(tmp_path))
    assert not is_running(RunFolder(tmp_path / "never"))


UNLOCKABLE = """
import errno, fcntl, os, sys
from pathlib import Path
from chainrule.base import RunError
from chainrule.run import RunFolder, run_lock

def refuse(handle, how):
    raise OSError(int(sys.argv[2]), "as the mount words it")

fcntl.flock = refuse
folder = RunFolder(Path(sys.argv[1]))
with run_lock(folder):
    print("held", flush=True)
    if len(sys.argv) > 3:
        os._exit(9)
    try:
        with run_lock(folder):
            print("twice")
    except RunError as told:
        print(told)
with run_lock(folder):
    print("free again")
"""


def unlockable(folder, number, *more):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", UNLOCKABLE, str(folder), str(number), *more],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.skipif(sys.platform == "win32", reason="it has no flock")
def test_a_folder_without_locks_still_has_one_writer(tmp_path, number):
    ended = unlockable(tmp_path, number)
    assert ended.returncode == 0, ended.stderr
    held, told, free = ended.stdout.splitlines()
    assert held == "held" and "is in use by process" in told and free == "free again"


def test_a_link_in_the_place_of_the_holders_note_is_not_written_through(tmp_path):
    (tmp_path / "treasure").write_text("kept")
    (tmp_path / "lock.json").symlink_to(tmp_path / "treasure")
    with run_lock(RunFolder(tmp_path)):
        assert json.loads((tmp_path / "lock.json").read_text())["pid"] == os.getpid()
    assert (tmp_path / "treasure").read_text() == "kept"


@pytest.mark.skipif(sys.platform == "win32", reason="it has no flock")
def test_where_no_locks_are_a_holder_that_was_killed_is_not_waited_for(tmp_path):
    assert unlockable(tmp_path, errno.ENOLCK, "die").returncode == 9
    assert unlockable(tmp_path, errno.ENOLCK).stdout.endswith("free again\n")
