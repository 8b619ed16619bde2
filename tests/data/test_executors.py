"""A text prepared by tasks of another executor is the same to the byte, also when workers are killed on the way."""

import os
import signal
import stat
import sys
import threading
import time

import pytest

from chainrule.base import ConfigError, DataError
from chainrule.config import TextConfig
from chainrule.data import encoding, executor_of, preparation, recording, scan, survey, units, write_shards
from chainrule.data.executors import Local, Slurm
from chainrule.data.tasks import RESULTS, RUNNING, Stage, died, do, is_done, results, write_tasks
from chainrule.tokenizer.train import byte_tokenizer

pytest.importorskip("datatrove")


def doubled(folder, given):
    """Work whose result names a file."""
    if given < 0:
        raise DataError(f"{given} is too small")
    (folder / str(given)).write_text("x")
    return 2 * given


def tasks(folder, *inputs):
    made = write_tasks(folder, "key", [(f"n{one}", one) for one in inputs], lambda label: int(label[1:]) // 10)
    return Stage(doubled, folder, tuple(key for key, _ in made)), made


def test_neighbours_of_one_group_are_a_task_and_results_come_in_order(tmp_path):
    stage, made = tasks(tmp_path, 1, 2, 11, 25)
    assert [labels for _, labels in made] == [["n1", "n2"], ["n11"], ["n25"]]
    for rank in (2, 0, 1):
        list(stage([], rank, 3))
    assert list(results(tmp_path, made)) == [("n1", 2), ("n2", 4), ("n11", 22), ("n25", 50)]
    assert tasks(tmp_path, 1, 2, 11, 25)[0].keys == stage.keys


def test_a_task_whose_files_were_taken_is_done_again(tmp_path):
    stage, _ = tasks(tmp_path, 1, 2)
    place = tmp_path / stage.keys[0]
    assert not is_done(place)
    do(doubled, place)
    assert is_done(place)
    written = (place / RESULTS).stat().st_mtime_ns
    do(doubled, place)
    assert (place / RESULTS).stat().st_mtime_ns == written
    next(place.glob("*/2")).unlink()
    assert not is_done(place)
    do(doubled, place)
    assert is_done(place)


def test_a_fault_is_raised_where_the_result_would_be_and_its_task_is_done_again(tmp_path, monkeypatch):
    made = write_tasks(tmp_path, "key", [("a", 1), ("b", -1), ("c", 2)], lambda _label: 0)
    do(doubled, tmp_path / made[0][0])
    found = results(tmp_path, made)
    assert next(found) == ("a", 2)
    with pytest.raises(DataError, match="-1 is too small"):
        next(found)
    assert not is_done(tmp_path / made[0][0])


def test_a_process_that_is_gone_is_told_from_one_that_works(tmp_path):
    stage, _ = tasks(tmp_path, 1)
    place = tmp_path / stage.keys[0]
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    for process in (child, os.getpid()):
        own = place / f"{os.uname().nodename}-{process}"
        own.mkdir()
        (own / RUNNING).touch()
    assert died(tmp_path, stage.keys) == list(stage.keys)
    assert died(tmp_path, stage.keys) == []


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(units, "UNIT_BYTES", 200_000)
    monkeypatch.setattr(scan, "TASK_BYTES", 600_000)
    # Rows and ids of some units go through files, which whoever takes a result takes away.
    monkeypatch.setattr(recording, "SPOOL_BYTES", 1500)
    monkeypatch.setattr(encoding, "SPOOL_BYTES", 150_000)
    monkeypatch.setattr(preparation, "UNITS_OF_TASK", 2)


class Here:
    """Does tasks in this process, the last first; ends at the `fails`-th as a killed one does."""

    def __init__(self, fails=0):
        self.fails, self.n_done = fails, 0

    def run(self, stage, logs, tell):
        for rank in reversed(range(len(stage.keys))):
            if is_done(stage.folder / stage.keys[rank]):
                continue
            self.n_done += 1
            if self.n_done == self.fails:
                raise DataError("as if it were killed")
            stage([], rank, len(stage.keys))


def made(workshop, folder, **how):
    found = survey(TextConfig(paths=(str(workshop.texts),), pii="mask"), folder, **how)
    write_shards(found, byte_tokenizer(), folder, context_length=16, shard_bytes=700_000, **how)
    kept = [path for path in folder.iterdir() if path.suffix == ".safetensors"]
    return {path.name: path.read_bytes() for path in [*kept, folder / "survey" / "documents.bin"]}


@pytest.fixture
def written(workshop, make_prose):
    for index in range(24):
        workshop.write(f"{index:02d}.txt", "".join(make_prose(100 * (index % 22) + part, 1000) for part in range(8)))
    return workshop


@pytest.mark.parametrize("fails", [0, 6])
def test_shards_of_tasks_are_those_of_processes_also_after_a_restart(written, tmp_path, small, fails):
    plain = made(written, tmp_path / "plain", workers=1)
    assert len(plain) > 3
    if fails:
        with pytest.raises(DataError, match="killed"):
            made(written, tmp_path / "tasks", executor=Here(fails))
    executor = Here()
    assert made(written, tmp_path / "tasks", executor=executor) == plain
    straight = Here()
    made(written, tmp_path / "straight", executor=straight)
    assert executor.n_done == straight.n_done - max(fails - 1, 0), "what was done is not done again"
    assert not list((tmp_path / "tasks").rglob("tasks")), "nothing of the tasks is left"


class StoppedError(Exception):
    """As a kill is met by what is on the disk."""


@pytest.mark.parametrize("instant", [3, 6, 10])
def test_a_start_that_is_killed_while_it_takes_results_is_gone_on_with(written, tmp_path, small, instant):
    plain = made(written, tmp_path / "plain", workers=1)
    told = []

    def stop(*given):
        told.append(given)
        if len(told) == instant:
            raise StoppedError

    with pytest.raises(StoppedError):
        made(written, tmp_path / "tasks", executor=Here(), on_progress=stop)
    assert made(written, tmp_path / "tasks", executor=Here()) == plain


def kill_a_worker(folder, killed):
    """SIGKILL for the first process that is seen at a task."""
    end = time.monotonic() + 60
    while not killed and time.monotonic() < end:
        for running in folder.glob(f"survey/tasks/*/*/{RUNNING}"):
            killed.append(int(running.parent.name.rpartition("-")[2]))
            os.kill(killed[0], signal.SIGKILL)
            return
        time.sleep(0.001)


@pytest.mark.timeout(300)
def test_a_worker_of_datatrove_that_is_killed_costs_its_task_alone(written, tmp_path, small):
    plain = written.survey()
    folder, killed = tmp_path / "tasks", []
    watcher = threading.Thread(target=kill_a_worker, args=(folder, killed))
    watcher.start()
    by_tasks = survey(plain.config, folder, executor=Local(workers=2))
    watcher.join()
    assert killed
    assert by_tasks.table.tobytes() == plain.table.tobytes()
    assert by_tasks.states.tobytes() == plain.states.tobytes()


SBATCH = """#!{python}
import os, re, subprocess, sys
text = open(sys.argv[-1]).read()
if "merge_stats" not in text:
    last = int(re.search(r"--array=0-([0-9]+)", text)[1])
    for task in range(last + 1):
        environment = {{**os.environ, "SLURM_ARRAY_TASK_ID": str(task), "RUN_OFFSET": "0", "SLURM_NODELIST": "node1"}}
        subprocess.run(["bash", sys.argv[-1]], env=environment, check={check}, stdout=2)
print("Submitted batch job 7")
"""
SRUN = '#!/bin/bash\nwhile [[ $1 == -* ]]; do [[ $1 == -n ]] && shift; shift; done\nexec "$@"\n'


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Slurm's commands, which do at once here what a cluster would do there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    squeue = "#!/bin/bash\nexit 0\n"
    sbatch = SBATCH.format(python=sys.executable, check=False)
    scripts = {"sbatch": sbatch, "srun": SRUN, "squeue": squeue, "scontrol": '#!/bin/bash\necho "$3"\n'}
    for name, content in scripts.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o700 | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_what_is_submitted_to_slurm_does_the_tasks(workshop, tmp_path, cluster):
    workshop.fill(20)
    alone = workshop.survey()
    by_slurm = survey(alone.config, tmp_path / "slurm", executor=Slurm("cpu", time="0:05:00", poll_seconds=0.1))
    assert by_slurm.states.tobytes() == alone.states.tobytes()
    assert by_slurm.table.tobytes() == alone.table.tobytes()


def test_a_job_that_ends_without_results_is_told_and_keeps_what_is_done(workshop, tmp_path, cluster):
    (cluster / "srun").write_text("#!/bin/bash\nexit 1\n")
    workshop.fill(20)
    with pytest.raises(DataError, match="job 7 is over, and 1 of 1 tasks have no results"):
        survey(TextConfig(paths=(str(workshop.texts),)), tmp_path / "slurm", executor=Slurm("cpu", poll_seconds=0.1))


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("slurm", (), "needs a partition"),
        ("slurm", ("partitoin=cpu",), "Did you mean 'partition'?"),
        ("slurm", ("partition=cpu", "mem_per_cpu_gb=much"), "is not a number"),
        ("slurm", ("partition=",), "is no option of slurm"),
        ("local", ("time=3",), "is no option of local"),
        ("processes", ("time=3",), "are those of slurm and ray"),
    ],
)
def test_options_that_an_executor_has_not_are_refused(name, options, told):
    with pytest.raises(ConfigError) as fault:
        executor_of(name, 0, options)
    assert told in str(fault.value)


def test_options_reach_the_executor():
    made = executor_of("slurm", 8, ("partition=cpu", "mem_per_cpu_gb=4", "time=1:00:00", "sbatch.account=me"))
    assert made == Slurm("cpu", "1:00:00", 8, mem_per_cpu_gb=4, sbatch_args={"account": "me"})
