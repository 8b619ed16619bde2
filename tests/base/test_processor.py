import os
import subprocess
import sys

import pytest

from chainrule import spin_less
from chainrule.base import CLASSES, processor_name, spins
from chainrule.base.macos import sysctl_values
from chainrule.base.processor import class_of, cpuinfo_value, lowered_by, sysctl_flags

ZEN_3 = "avx avx2 fma"
SKYLAKE = ZEN_3 + " avx512f avx512dq avx512bw avx512vl avx512_vnni"
ZEN_4 = SKYLAKE + " avx512_bf16"
SAPPHIRE_RAPIDS = ZEN_4 + " amx_bf16 amx_tile amx_int8"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("sse4_2", "other"),
        (ZEN_3, "avx2"),
        (SKYLAKE, "avx2"),  # there bfloat16 products are made of float32 ones, and lose
        (ZEN_4, "avx512-bf16"),
        (SAPPHIRE_RAPIDS, "amx"),
        ("fp asimd crc32", "neon"),
        ("fp asimd sve bf16 i8mm", "neon-bf16"),
        ("", "other"),
    ],
)
def test_every_processor_has_one_class(flags, name):
    assert class_of(flags.split()).name == name


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "amx"),
        ({"ONEDNN_MAX_CPU_ISA": "ALL"}, "amx"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, "amx"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, "avx512-bf16"),
        ({"ONEDNN_MAX_CPU_ISA": "avx512_core"}, "avx2"),
        ({"DNNL_MAX_CPU_ISA": "AVX2"}, "avx2"),
        ({"ATEN_CPU_CAPABILITY": "avx2"}, "avx2"),
        ({"ATEN_CPU_CAPABILITY": "avx512"}, "amx"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16", "ATEN_CPU_CAPABILITY": "default"}, "other"),
    ],
)
def test_a_lower_class_can_be_forced(variables, name):
    assert class_of(SAPPHIRE_RAPIDS.split(), variables).name == name


def test_a_higher_class_cannot_be_forced():
    assert class_of(ZEN_3.split(), {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}).name == "avx2"


def test_macos_features_are_spelled_as_linux_does():
    arm = sysctl_values("hw.optional.arm64: 1\nhw.optional.arm.FEAT_BF16: 1\n")
    assert class_of(sysctl_flags(arm)).name == "neon-bf16"
    assert class_of(sysctl_flags({**arm, "hw.optional.arm.FEAT_BF16": "0"})).name == "neon"
    assert class_of(sysctl_flags({"hw.optional.avx2_0": "1", "hw.optional.avx512f": "1"})).name == "avx2"


def test_what_a_class_does_at_the_least_is_stated_for_the_formats_it_has():
    for kind in CLASSES.values():
        assert kind.least_flops("float32") > 0
        assert (kind.least_flops("bfloat16") > 0) == kind.bfloat16


def test_the_processor_has_a_name():
    assert processor_name()
    assert cpuinfo_value("processor\t: 0\nmodel name\t: AMD EPYC: 2\n", "model name") == "AMD EPYC: 2"
    assert cpuinfo_value("processor\t: 0\n", "Features") is None


def test_spinning_is_set_before_torch_is_loaded_unless_the_user_has_decided():
    assert spins(spin_less({}, loaded=[])) == "GOMP_SPINCOUNT=10000"
    assert spins(spin_less({"GOMP_SPINCOUNT": "7"}, loaded=[])) == "GOMP_SPINCOUNT=7"
    assert spins(spin_less({"OMP_WAIT_POLICY": "passive"}, loaded=[])) == "OMP_WAIT_POLICY=passive"
    assert spins(spin_less({}, loaded=["torch"])) == "the default"


def test_importing_chainrule_sets_it_before_any_room_can_load_torch():
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import chainrule, os, sys; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    assert done.stdout.split() == ["10000", "False"]


@pytest.mark.parametrize(
    ("flags", "environment", "lower"),
    [
        (ZEN_4, {"ONEDNN_MAX_CPU_ISA": "AVX2", "PATH": "/bin"}, ("ONEDNN_MAX_CPU_ISA=AVX2",)),
        (ZEN_4, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"}, ()),  # its own class
        (
            ZEN_4,
            {"ATEN_CPU_CAPABILITY": "avx2", "DNNL_MAX_CPU_ISA": "AVX"},
            ("DNNL_MAX_CPU_ISA=AVX", "ATEN_CPU_CAPABILITY=avx2"),
        ),
        (ZEN_3, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, ()),
        ("fp asimd", {"ONEDNN_MAX_CPU_ISA": "AVX2"}, ()),
    ],
)
def test_the_variables_that_hold_a_processor_down_are_named(flags, environment, lower):
    assert lowered_by(class_of(flags.split()), environment) == lower
