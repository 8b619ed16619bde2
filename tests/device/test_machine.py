import pytest
import torch

from chainrule.base import DeviceError, usable_cores
from chainrule.config import MachineConfig
from chainrule.device import choose_device, look_at_machine

no_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")


def test_every_choice_comes_with_a_reason():
    facts = look_at_machine(MachineConfig(device="cpu"))
    assert facts.reason == "as asked"
    assert facts.precision in ("float32", "bfloat16")
    assert "times as fast as float32" in facts.precision_reason
    assert facts.peak_flops > 1e9
    assert facts.memory_bytes > 2**28
    assert 1 <= facts.threads == facts.cores == usable_cores()


def test_what_is_set_is_kept():
    facts = look_at_machine(MachineConfig(device="cpu", precision="float32", threads=1))
    assert (facts.precision, facts.threads, torch.get_num_threads()) == ("float32", 1, 1)


@no_cuda
def test_without_a_gpu_the_processor_is_taken_and_a_missing_gpu_is_refused():
    assert choose_device("auto")[0] in ("cpu", "mps")
    with pytest.raises(DeviceError, match=r"device cuda is not here .* use --device"):
        choose_device("cuda")
