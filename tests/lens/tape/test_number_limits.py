import subprocess
import sys

import torch

from chainrule.lens.tape.number_limits import limits_of

LOADED_INSIDE = """
import torch
from chainrule.lens.tape.number_limits import limits_of
with limits_of(torch.float32):
    import torch._dynamo
from torch._dynamo.utils import common_constant_types
assert isinstance(torch.finfo(torch.float16), tuple(common_constant_types))
assert isinstance(0.5, tuple(sorted(common_constant_types, key=lambda one: one is float)))
"""


def test_what_keeps_the_stand_in_is_answered_as_by_torch_later():
    with limits_of(torch.float32):
        kept = torch.finfo
        assert kept(torch.float64).max == torch.finfo(torch.float32).max
        with limits_of(torch.float64):
            assert torch.finfo(torch.float64).max > 1e300
        assert torch.finfo().eps == kept(torch.float32).eps
    assert kept is not torch.finfo
    assert kept(torch.float64).max == torch.finfo(torch.float64).max > 1e300
    assert isinstance(kept(torch.float64), kept)


def test_the_compiler_can_be_loaded_inside():
    """It puts torch.finfo into a set of types, where a function would break it in whichever order it is asked."""
    done = subprocess.run([sys.executable, "-c", LOADED_INSIDE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
