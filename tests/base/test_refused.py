import errno
import os
import subprocess
import sys

import pytest

from chainrule.base import DeviceError, out_of_memory, system_refusals
from chainrule.base.refused import refusal
from chainrule.run import RunFolder


class PanicException(BaseException):
    """What a panic of Rust is in Python: no Exception."""


PANIC = "The global thread pool has not been initialized.: ThreadPoolBuildError { kind: IOError(Os { code: 11 }) }"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RuntimeError("can't start new thread"), "no more threads"),
        (PanicException(PANIC), "no more threads"),
        (MemoryError(), "out of memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "out of memory",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "out of memory"),
    ],
)
def test_what_the_system_refuses_is_one_sentence_with_a_remedy(fault, told):
    with pytest.raises(DeviceError, match=rf"{told}.*close other programs") as caught, system_refusals():
        raise fault
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [
        PanicException("index out of bounds"),
        RuntimeError("a real mistake"),
        KeyboardInterrupt(),
        SystemExit(3),
        OSError(errno.ENOENT, "No such file"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),  # a full pipe, not a process
    ],
)
def test_everything_else_goes_on_as_it_is(fault):
    with pytest.raises(type(fault)) as caught, system_refusals():
        raise fault
    assert caught.value is fault


def test_memory_that_does_not_suffice_is_known_by_any_of_its_names():
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("CUDA out of memory"))
    assert not out_of_memory(RuntimeError("shapes differ"))
    assert not out_of_memory(ValueError("out of memory"))


CODE = """
import resource, sys
from chainrule.tokenizer import train_bpe
from chainrule.cli import main
used = int(open("/proc/self/statm", encoding="ascii").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**22,) * 2)
sys.exit(main(["pretrain", sys.argv[1], "--name", sys.argv[2], "--machine.threads", "1"]))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="Linux alone")  # noqa: PTH110
def test_a_process_that_gets_no_memory_ends_in_one_line(tmp_path):
    (tmp_path / "a.txt").write_text("the sea and the old man\n" * 400, encoding="utf-8")
    given = [sys.executable, "-c", CODE, str(tmp_path / "a.txt"), str(tmp_path / "run")]
    done = subprocess.run(given, capture_output=True, check=False)
    told = done.stderr.decode()
    assert done.returncode == 2, told
    assert "Traceback" not in told
    assert told.splitlines()[-1].startswith("chainrule: ")


def test_memory_that_is_gone_to_the_last_page_is_told_without_its_amount(monkeypatch):
    def none_left():
        raise MemoryError

    monkeypatch.setattr("chainrule.base.refused.available_memory", none_left)
    with pytest.raises(DeviceError, match="out of memory; close other programs"), system_refusals():
        raise MemoryError


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of the address space")
@pytest.mark.parametrize("limit", [300_000, 500_000])
def test_an_address_space_that_is_too_small_for_torch_is_told_as_memory(tmp_path, limit):
    # In KiB; with more of it, torch's own loading ends the process by std::bad_alloc, which nobody can catch.
    (tmp_path / "t").mkdir()
    words = f"ulimit -v {limit}; exec {sys.executable} -m chainrule report {tmp_path}/t"
    run = RunFolder(tmp_path / "t")
    run.config.write_text("")
    done = subprocess.run(["sh", "-c", words], **{"capture_output": True, "text": True, "timeout": 60})
    assert done.returncode == 2 and "out of memory" in done.stderr and "ulimit -v" in done.stderr, done.stderr[-500:]
    assert "Traceback" not in done.stderr


def test_a_library_that_the_loader_cannot_map_is_memory_and_one_that_is_not_there_is_not():
    for words in ("libtorch_cpu.so: failed to map segment from shared object", "x.so: Cannot allocate memory"):
        assert "out of memory" in refusal(ImportError(words)) and "out of memory" in refusal(OSError(words))
    assert refusal(ImportError("No module named 'nothing'")) is None
