import os
import time

import pytest

from chainrule.base import Pressure, busy_seconds, cpu_pressure

STAT = """cpu  100 0 0 900 0 0 0 0 0 0
cpu0 10 1 2 500 40 3 4 5 0 0
cpu1 200 0 0 400 0 0 0 0 0 0
intr 1
"""


def put(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_pressure_is_what_linux_says(tmp_path):
    put(tmp_path, "proc/pressure/cpu", "some avg10=12.50 avg60=3.00 avg300=0.00 total=2500000\nfull avg10=99.00\n")
    assert cpu_pressure(tmp_path) == Pressure(0.125, 0.03, 2.5)


@pytest.mark.parametrize("text", ["", "some\n", "some avg10=1.00\n", "full avg10=1.00 avg60=1.00 total=1\n"])
def test_a_system_that_does_not_tell_its_pressure_has_none(tmp_path, text):
    put(tmp_path, "proc/pressure/cpu", text)
    assert cpu_pressure(tmp_path) is None


def test_busy_time_is_that_of_the_allowed_processors_without_idle_and_waiting(tmp_path):
    put(tmp_path, "proc/stat", STAT)
    ticks = os.sysconf("SC_CLK_TCK")
    assert busy_seconds({0}, tmp_path) == pytest.approx((10 + 1 + 2 + 3 + 4 + 5) / ticks)
    assert busy_seconds({0, 1}, tmp_path) == pytest.approx(225 / ticks)
    assert busy_seconds({7}, tmp_path) is None


def test_a_process_that_computes_is_seen_by_the_counters():
    before, start = busy_seconds(), time.process_time()
    if before is None:
        pytest.skip("this system does not tell")
    while time.process_time() - start < 0.15:
        pass
    after = busy_seconds()
    assert after is not None and after - before >= 0.1
