import os
import subprocess
import sys
import threading

import pytest
import torch

from chainrule.base import ConfigError, Cores, DeviceError
from chainrule.config import Layer, MachineConfig, resolve
from chainrule.device import look_at_machine, use_threads
from chainrule.device.threads import most_threads, thread_choices

HYBRID = Cores(logical=20, physical=14, fast=6)


def test_threads_are_tried_in_doublings_up_to_all_and_at_the_quick_cores():
    assert thread_choices(0, Cores(8, 4, 4), {}) == (1, 2, 4)
    assert thread_choices(0, HYBRID, {}) == (1, 2, 4, 6, 8, 14)
    assert thread_choices(0, Cores(1, 1, 1), {}) == (1,)
    assert thread_choices(0, Cores(128, 64, 64, quota=3.0), {}) == (1, 2, 3)


def test_the_environments_number_is_the_most():
    assert most_threads(HYBRID, {"OMP_NUM_THREADS": "4,2"}) == 4
    assert most_threads(HYBRID, {"OMP_NUM_THREADS": "99"}) == 14
    assert most_threads(HYBRID, {"OMP_NUM_THREADS": "many"}) == 14
    assert thread_choices(0, HYBRID, {"OMP_NUM_THREADS": "3"}) == (1, 2, 3)


def test_what_is_set_is_the_only_choice_even_beyond_the_cores():
    assert thread_choices(16, Cores(2, 2, 2), {"OMP_NUM_THREADS": "1"}) == (16,)


def test_far_too_many_threads_are_refused_at_once():
    running = threading.active_count()
    with pytest.raises(DeviceError, match=r"machine\.threads=4096 is more .* use 1 to \d+, or 0"):
        look_at_machine(MachineConfig(device="cpu", threads=4096))
    assert threading.active_count() == running
    with pytest.raises(ConfigError, match="threads"):
        resolve([Layer("test", {"machine": {"threads": 100000}})])


def test_threads_that_the_system_does_not_grant_are_refused_by_name():
    resource = pytest.importorskip("resource")
    assert resource.RLIMIT_AS
    code = (
        "import resource, torch\n"
        "from chainrule.base import DeviceError\n"
        "from chainrule.device import use_threads\n"
        "used = int(open('/proc/self/statm', encoding='ascii').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 100 * 2**20,) * 2)\n"
        "try:\n"
        "    use_threads(64)\n"
        "except DeviceError as fault:\n"
        "    print(fault)\n"
    )
    if not os.path.exists("/proc/self/statm"):  # noqa: PTH110
        pytest.skip("Linux alone")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "the system lets this process start" in done.stdout
    assert "use --machine.threads" in done.stdout


def test_threads_are_set_and_none_of_the_trial_stay():
    before, running = torch.get_num_threads(), threading.active_count()
    try:
        use_threads(3)
        assert torch.get_num_threads() == 3
        assert threading.active_count() == running
    finally:
        torch.set_num_threads(before)
