import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainrule.base import DataError
from chainrule.data.workers import AHEAD, SMALL_BYTES, ordered_map, worker_count


def numbers(count):
    return ((str(number), number) for number in range(count))


def square(number):
    time.sleep(0.01 * (number % 3))
    return number * number


def die(number):
    os._exit(3)


def refuse(number):
    raise DataError(f"{number} is refused")


def test_results_come_in_the_order_of_their_inputs():
    expected = [(str(number), number * number) for number in range(20)]
    for workers in (1, 2):
        with ordered_map(square, workers) as square_all:
            assert list(square_all(numbers(20))) == expected
            assert list(square_all(numbers(5))) == expected[:5]


def test_inputs_are_taken_only_as_far_ahead_as_said():
    taken = []

    def inputs():
        for number in range(50):
            taken.append(number)
            yield number, number

    with ordered_map(square, 2) as square_all:
        next(square_all(inputs()))
        assert len(taken) <= 2 * AHEAD + 1


def test_an_error_in_a_worker_is_the_same_error_here():
    for workers in (1, 2):
        with pytest.raises(DataError, match="0 is refused"), ordered_map(refuse, workers) as refuse_all:
            list(refuse_all(numbers(3)))


def test_a_worker_that_dies_is_an_error_and_not_a_hang():
    with pytest.raises(DataError, match="a worker process died"), ordered_map(die, 2) as die_all:
        list(die_all(numbers(3)))


def test_small_texts_stay_in_this_process():
    assert worker_count(0, SMALL_BYTES - 1) == 1
    assert worker_count(0, SMALL_BYTES) >= 1
    assert worker_count(3, 0) == 3


CHILD = """
import os, sys, time
sys.path.insert(0, {folder!r})
from chainrule.data.workers import ordered_map
from test_workers import report_and_wait
if __name__ == "__main__":
    with ordered_map(report_and_wait, 2) as wait_all:
        list(wait_all([(0, "{out}")]))
"""


def report_and_wait(out):
    Path(out).write_text(str(os.getpid()))
    time.sleep(60)


def test_workers_end_when_their_parent_is_killed(tmp_path):
    out, script = tmp_path / "pid", tmp_path / "parent.py"
    script.write_text(CHILD.format(folder=str(Path(__file__).parent), out=out))
    parent = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL)
    wait_for(lambda: out.exists() and out.read_text())
    worker = int(out.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not alive(worker))


def wait_for(condition):
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.01)
    raise TimeoutError("the condition did not come true in 20 s")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie has ended; in a container nobody may collect it.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
