import json
import re

import pytest
import torch

from chainrule.base import CLASSES, DeviceError, usable_cores
from chainrule.config import MachineConfig
from chainrule.device import Peaks, choose_device, look_at_machine, machine_table, on_threads, use_tensor_float
from chainrule.device.machine import better_format

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")


@pytest.fixture(scope="module")
def facts():
    threads = torch.get_num_threads()
    yield look_at_machine(MachineConfig(device="cpu"))
    torch.set_num_threads(threads)


def test_every_choice_comes_with_a_reason(facts):
    assert facts.reason == "as asked"
    assert facts.precision in ("float32", "bfloat16")
    assert re.search(r"(as fast as|slower than) float32", facts.precision_reason)
    assert facts.peak_flops > 1e9
    assert 2**28 < facts.memory_bytes <= facts.installed_bytes
    assert facts.threads == facts.thread_choices[-1] <= facts.cores == usable_cores()


def test_one_table_says_what_was_found_measured_and_chosen(facts):
    table = machine_table(facts)
    assert [row[0] for row in table] == sorted((row[0] for row in table), key=["found", "measured", "chosen"].index)
    said = {name: value for _, name, value in table}
    assert facts.kind.words in said["class"]
    assert {"float32", "bfloat16", "precision", "threads", "planned with"} <= set(said)


def test_the_facts_of_a_run_are_json(facts):
    assert json.loads(json.dumps(facts.row()))["processor_class"] == facts.processor_class


def test_fewer_threads_are_planned_with_less(facts):
    wide = on_threads(facts, facts.cores)
    assert on_threads(wide, 1).peak_flops == pytest.approx(wide.peak_flops / facts.cores)
    assert on_threads(on_threads(wide, 1), facts.cores).peak_flops == pytest.approx(wide.peak_flops)


def test_what_is_set_is_kept():
    threads = torch.get_num_threads()
    facts = look_at_machine(MachineConfig(device="cpu", precision="float32", threads=1))
    assert (facts.precision, facts.threads, torch.get_num_threads()) == ("float32", 1, 1)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("half", "format_", "figure"),
    [
        (1e9, "float32", "100 times slower than"),
        (1.2e11, "float32", "1.2 times as fast as"),
        (2.2e11, "bfloat16", "2.2 times as fast as"),
    ],
)
def test_bfloat16_is_taken_where_it_pays_and_the_reason_has_the_figure(half, format_, figure):
    chosen, reason = better_format(Peaks({"float32": 1e11, "bfloat16": half}, 0.1), CLASSES["avx512-bf16"])
    assert chosen == format_
    assert figure in reason


@pytest.mark.parametrize(
    ("kind", "half", "format_"),
    [("avx512-bf16", 1.2e11, "bfloat16"), ("avx2", 1.2e11, "float32"), ("avx512-bf16", 3e9, "float32")],
)
def test_beside_another_program_the_class_decides_unless_a_format_lost(kind, half, format_):
    peaks = Peaks({"float32": 1e11, "bfloat16": half}, 0.3, core_share=0.04)
    assert better_format(peaks, CLASSES[kind])[0] == format_


@no_cuda
def test_without_a_gpu_the_processor_is_taken_and_a_missing_gpu_is_refused():
    assert choose_device("auto")[0] in ("cpu", "mps")
    with pytest.raises(DeviceError, match=r"device cuda is not here .* use --device"):
        choose_device("cuda")


def test_products_of_a_gpu_are_rounded_to_tf32_only_beside_bfloat16():
    before = torch.get_float32_matmul_precision()
    try:
        for device, precision, expected in (
            ("cuda", "bfloat16", "high"),
            ("cpu", "float32", "high"),
            ("cuda", "float32", "highest"),
            ("cpu", "bfloat16", "highest"),
        ):
            use_tensor_float(device, precision)
            assert torch.get_float32_matmul_precision() == expected
    finally:
        torch.set_float32_matmul_precision(before)
