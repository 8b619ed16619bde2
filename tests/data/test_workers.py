import os
import signal
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


class Panic(BaseException):
    """As compiled libraries raise: no Exception."""


class PickyError(Exception):
    """Written by pickle, and not read again: its arguments are not those of its constructor."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def fail(kind):
    if kind == "panic":
        raise Panic("too few threads")
    if kind == "picky":
        raise PickyError("this", "that")
    return lambda: kind


def chatter(number):
    print("a library says hello")
    os.write(1, b"and another, below Python")
    return number


def threads_of_the_tokenizer(_):
    return os.environ["RAYON_NUM_THREADS"]


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


def test_a_file_that_is_named_like_a_module_of_pythons_is_not_imported_in_its_place(tmp_path, monkeypatch):
    for name in ("pickle", "struct", "_compat_pickle"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    with ordered_map(square, 2) as each:
        assert dict(each(numbers(3))) == {"0": 0, "1": 1, "2": 4}


def test_a_worker_that_dies_is_an_error_and_not_a_hang():
    with pytest.raises(DataError, match="a worker process ended with code 3"), ordered_map(die, 2) as die_all:
        list(die_all(numbers(3)))


@pytest.mark.parametrize(
    ("kind", "said"),
    [("panic", "Panic: too few threads"), ("picky", "PickyError: this and that"), ("result", "pickle")],
)
def test_what_cannot_travel_from_a_worker_is_told_in_words(kind, said):
    with pytest.raises(Exception, match=said) as caught, ordered_map(fail, 2) as fail_all:
        list(fail_all([(0, kind)]))
    assert any("in a worker process" in note for note in caught.value.__notes__)


def test_what_a_task_prints_does_not_fall_among_the_results():
    with ordered_map(chatter, 2) as chatter_all:
        assert [result for _, result in chatter_all(numbers(4))] == [0, 1, 2, 3]


def test_a_worker_leaves_the_cores_to_its_neighbours():
    with ordered_map(threads_of_the_tokenizer, 2) as ask_all:
        assert list(ask_all([(0, 0)])) == [(0, "1")]


def test_a_killed_worker_is_said_to_be_killed():
    with pytest.raises(DataError, match="signal 9"), ordered_map(kill_oneself, 2) as kill_all:
        list(kill_all(numbers(3)))


def kill_oneself(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_cannot_be_started_is_said_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-interpreter-here"))
    said = r"only 0 of 2 worker processes could be started .*machine\.workers"
    with pytest.raises(DataError, match=said), ordered_map(square, 2):
        pass


def test_small_texts_stay_in_this_process():
    assert worker_count(0, SMALL_BYTES - 1) == 1
    assert worker_count(0, SMALL_BYTES) >= 1
    assert worker_count(3, 0) == 3


CHILD = """
import os, sys, time
sys.path.insert(0, {folder!r})
from chainrule.data.workers import ordered_map
from test_workers import report_and_wait
with ordered_map(report_and_wait, 2) as wait_all:
    list(wait_all([(0, "{out}")]))
"""


UNGUARDED = """
import sys
from pathlib import Path
from chainrule.config import TextConfig
from chainrule.data import survey, write_shards
from chainrule.tokenizer.train import byte_tokenizer
print("the script runs", flush=True)
texts, data = sys.argv[1], Path(sys.argv[2])
found = survey(TextConfig(paths=(texts,)), data, workers=2)
print(write_shards(found, byte_tokenizer(), data, context_length=16, workers=2).fingerprint)
"""


def test_workers_never_import_the_script_that_runs(workshop, tmp_path):
    workshop.fill()
    (tmp_path / "pickle.py").write_text("raise RuntimeError('a file of the current folder was imported')")
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    done = subprocess.run(
        [sys.executable, "-P", str(script), str(workshop.texts), str(workshop.data)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    together = done.stdout.split("\n")
    workshop.data = tmp_path / "alone"
    assert together == ["the script runs", workshop.prepare().fingerprint, ""]


IN_THE_SCRIPT = """
from chainrule.base import DataError
from chainrule.data.workers import ordered_map
def double(number):
    return 2 * number
try:
    with ordered_map(double, 2) as double_all:
        list(double_all([(0, 1)]))
except DataError as fault:
    print(fault)
"""


def test_a_task_of_the_script_itself_is_refused_with_the_remedy(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(IN_THE_SCRIPT)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert "Put what is defined there into a module" in done.stdout
    assert done.stderr == ""


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
