import os
import subprocess
import sys

import pytest
import torch

from chainrule.base import CLASSES, processor_class
from chainrule.device import peak
from chainrule.device.peak import LARGE_SHARE, Peaks, is_low, measured_peaks, planned_flops

# Forced to AVX2, where products in bfloat16 are emulated: what the measurement found, and the CPU seconds that it took.
FORCED = (
    "import time, torch\n"
    "from chainrule.base import processor_class\n"
    "from chainrule.device.peak import measured_peaks\n"
    "torch.mm(torch.ones(8, 8), torch.ones(8, 8))\n"
    "began = time.thread_time()\n"
    "peaks = measured_peaks('cpu', ('float32', 'bfloat16'))\n"
    "print(peaks.flops['bfloat16'] / peaks.flops['float32'], time.thread_time() - began)\n"
    "print(processor_class().name, torch.backends.cpu.get_cpu_capability())\n"
)


def test_a_measurement_leaves_threads_and_generators_as_they_were():
    torch.manual_seed(3)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    peaks = measured_peaks("cpu", ("float32",))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert peaks.flops["float32"] > 1e8
    assert 0 < peaks.core_share <= 1


def test_forced_to_avx2_the_class_is_torchs_and_an_emulated_format_is_given_up_at_a_small_size():
    if processor_class().name.startswith("neon"):
        pytest.skip("x86 alone")
    forced = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    done = subprocess.run([sys.executable, "-c", FORCED], env=forced, capture_output=True, text=True, check=True)
    ratio, seconds, kind, capability = done.stdout.split()
    assert (kind, capability) in (("avx2", "AVX2"), ("other", "DEFAULT"))
    assert float(ratio) < 0.5
    # Five products of 1,536 took thirty seconds of processor time. The processor's own clock stands still while others
    # compute, so this is no timing of a busy machine.
    assert float(seconds) < 3


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_low_figure_is_planned_on_only_where_the_machine_was_this_processs_own(share):
    kind = CLASSES["avx2"]
    peaks = Peaks({"float32": 5e9}, 0.2, share)
    assert is_low(peaks, "float32", kind)
    expected = kind.least_flops("float32") if share < 0.5 else 5e9
    assert planned_flops(peaks, "float32", kind) == pytest.approx(LARGE_SHARE * expected)


def test_a_usual_figure_is_planned_on_whoever_else_computes():
    peaks = Peaks({"float32": 9e10}, 0.2, 0.3)
    assert planned_flops(peaks, "float32", CLASSES["avx2"]) == pytest.approx(LARGE_SHARE * 9e10)


def test_one_bad_moment_does_not_cost_a_format_its_race(monkeypatch):
    moments = []

    def moment(a, b):
        moments.append(a.dtype)
        if a.dtype == torch.float32:
            return 1e11
        return 1e9 if moments.count(torch.bfloat16) == 1 else 2e11

    monkeypatch.setattr(peak, "_moment", moment)
    assert peak.measured_peaks("cpu", ("float32", "bfloat16")).flops == {"float32": 1e11, "bfloat16": 2e11}


def test_a_format_that_loses_twice_is_not_tried_again(monkeypatch):
    moments = []

    def moment(a, b):
        moments.append(a.dtype)
        return 1e11 if a.dtype == torch.float32 else 1e9

    monkeypatch.setattr(peak, "_moment", moment)
    peak.measured_peaks("cpu", ("float32", "bfloat16"))
    assert moments.count(torch.bfloat16) == 2 < moments.count(torch.float32)
