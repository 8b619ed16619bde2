from dataclasses import replace

import pytest
import torch

from chainrule.config import MachineConfig
from chainrule.device import Measured, left_on_the_table, look_around, look_at_machine


@pytest.fixture(scope="module")
def facts():
    threads = torch.get_num_threads()
    found = look_at_machine(MachineConfig(device="cpu", precision="float32"))
    torch.set_num_threads(threads)
    quiet = {"cores": 2, "logical_cores": 2, "quota": None, "threads": 2, "thread_choices": (1, 2), "core_share": 1.0}
    return replace(found, **quiet, processor_class="avx512-bf16", spins="GOMP_SPINCOUNT=10000")


@pytest.fixture(scope="module")
def around():
    nothing = {"held_down_by": (), "tunables": (), "huge_pages": "always", "gpus": (), "driver": False}
    return replace(look_around(), own_class="avx512-bf16", c_library="glibc 2.36", **nothing)


FINE = Measured(2, {"float32": 1e11}, {"float32": 1.9e11}, 2e10, 2e10, 1e9, 0.0, 0.0, 3.0)


def only(said):
    assert len(said) == 1, said
    return said[0]


def test_a_machine_that_has_all_leaves_nothing(facts, around):
    assert left_on_the_table(facts, around, FINE, {}) == []
    assert left_on_the_table(facts, around, None, {}) == []


def test_a_class_that_is_held_down_is_said_with_the_variable_to_unset(facts, around):
    held = replace(around, held_down_by=("ONEDNN_MAX_CPU_ISA=AVX2",))
    said, emulated = left_on_the_table(replace(facts, processor_class="avx2"), held, FINE, {})
    assert said.startswith("ONEDNN_MAX_CPU_ISA=AVX2 holds this processor down to avx2, and it is avx512-bf16")
    assert said.endswith("unset ONEDNN_MAX_CPU_ISA")
    assert emulated.startswith("bfloat16 is emulated by this class (avx2): products are made in float32")


@pytest.mark.parametrize(
    ("changes", "environment", "words"),
    [
        ({"thread_choices": (1,), "threads": 1}, {"OMP_NUM_THREADS": "1"}, "leaves 1 of 2 cores unused: unset it"),
        ({"quota": 1.5}, {}, "allows the time of 1.5 of 2 processors"),
        ({"spins": "the default"}, {}, "GOMP_SPINCOUNT=10000"),
    ],
)
def test_cores_that_are_not_used_are_said_with_their_remedy(facts, around, changes, environment, words):
    assert words in only(left_on_the_table(replace(facts, **changes), around, FINE, environment))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"huge_pages": "never"}, "transparent huge pages are off: as root"),
        ({"huge_pages": "madvise"}, "start with GLIBC_TUNABLES=glibc.malloc.hugetlb=1"),
        ({"driver": True}, "install torch for CUDA"),
    ],
)
def test_memory_and_drivers_that_are_not_used_are_said_with_their_remedy(facts, around, changes, words):
    assert words in only(left_on_the_table(facts, replace(around, **changes), FINE, {}))


@pytest.mark.parametrize(
    "changes", [{"tunables": ("GLIBC_TUNABLES=x",)}, {"c_library": "glibc 2.34"}, {"c_library": ""}]
)
def test_who_has_decided_or_cannot_ask_for_huge_pages_hears_nothing_of_them(facts, around, changes):
    assert left_on_the_table(facts, replace(around, huge_pages="madvise", **changes), FINE, {}) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"others": 0.9}, "other programs take 0.9 of 2 processors: the figures here are low"),
        ({"all_threads": {"float32": 4e10}}, "2 threads are slower than 1 just now (40 and 100 GFLOP/s in float32)"),
        ({"disk": 2e7}, "the disk of the runs takes 20 MB/s"),
        ({"disk": None}, "give another folder with --runs-folder"),
    ],
)
def test_what_was_measured_low_is_said_with_its_remedy(facts, around, changes, words):
    assert words in only(left_on_the_table(facts, around, replace(FINE, **changes), {}))
