from pathlib import Path

import pytest

from chainrule.base.cgroup import cpu_quota, memory_limit, memory_room

V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
)


def system(root: Path, own: str, mounts: str, **files: str) -> Path:
    """A root folder with /proc of a process and the files of control groups, `__` standing for `/`."""
    written = {"proc/self/cgroup": own, "proc/self/mountinfo": mounts}
    written |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in written.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return root


def test_version_2_limits_at_the_process_own_path(tmp_path):
    # The root of the tree has no limits of its own: reading there, as containers allow, finds nothing.
    own = {"cpu.max": "150000 100000\n", "memory.max": "2147483648\n", "memory.current": "1073741824\n"}
    files = {f"user.slice/job.scope/{name}": text for name, text in own.items()}
    files["user.slice/job.scope/memory.stat"] = "anon 1\ninactive_file 536870912\n"
    root = system(tmp_path, "0::/user.slice/job.scope\n", V2, **files)
    assert cpu_quota(root) == 1.5
    assert memory_limit(root) == 2 * 2**30
    assert memory_room(root) == 1.5 * 2**30  # file pages that nobody used lately can be dropped


def test_the_lowest_limit_on_the_way_to_the_root_holds(tmp_path):
    files = {
        "a/b/memory.max": "max\n",
        "a/b/memory.high": "3000000000\n",
        "a/memory.max": "2000000000\n",
        "a/memory.current": "1999999999\n",
        "a/b/cpu.max": "400000 100000\n",
        "a/cpu.max": "200000 100000\n",
    }
    root = system(tmp_path, "0::/a/b\n", V2, **files)
    assert (memory_limit(root), memory_room(root), cpu_quota(root)) == (2_000_000_000, 1, 2.0)


def test_version_1_limits_each_resource_in_its_own_tree(tmp_path):
    files = {
        "cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "300000\n",
        "cpu,cpuacct/slurm/job/cpu.cfs_period_us": "100000\n",
        "memory/slurm/memory.limit_in_bytes": "1073741824\n",
        "memory/slurm/memory.usage_in_bytes": "73741824\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    root = system(tmp_path, "4:memory:/slurm/job\n1:cpuacct,cpu:/slurm/job\n0::/\n", V1, **files)
    assert (cpu_quota(root), memory_limit(root), memory_room(root)) == (3.0, 2**30, 10**9)


def test_in_a_container_the_tree_starts_at_the_containers_own_group(tmp_path):
    mounts = V1.replace(" / /sys", " /docker/abc /sys")
    own = "4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n"
    root = system(tmp_path, own, mounts, **{"memory/memory.limit_in_bytes": "1000000\n"})
    assert memory_limit(root) == 1_000_000


def test_a_path_outside_of_what_is_seen_falls_back_to_the_top(tmp_path):
    root = system(tmp_path, "0::/../../elsewhere\n", V2, **{"memory.max": "123456\n", "cpu.max": "50000 100000\n"})
    assert (memory_limit(root), cpu_quota(root)) == (123456, 0.5)


@pytest.mark.parametrize(("cpu", "memory"), [("max 100000", "max"), ("max", "-1"), ("", ""), ("100000 0", "much")])
def test_without_a_limit_there_is_none(tmp_path, cpu, memory):
    root = system(tmp_path, "0::/a\n", V2, **{"a/cpu.max": cpu, "a/memory.max": memory})
    assert (cpu_quota(root), memory_room(root)) == (None, None)


def test_a_system_without_control_groups_limits_nothing(tmp_path):
    assert (cpu_quota(tmp_path), memory_limit(tmp_path), memory_room(tmp_path)) == (None, None, None)
