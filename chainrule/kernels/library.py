"""The built library, loaded: its functions by name, on the threads that torch computes with."""

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from chainrule.base import DeviceError

# How arguments are written down in the kernels' files: a tensor's memory, a count or a stride, a number.
KINDS: Mapping[str, Any] = {"p": ctypes.c_void_p, "n": ctypes.c_long, "f": ctypes.c_float}
SUFFIXES = {torch.float32: "float32", torch.bfloat16: "bfloat16"}
# In the order of native/parallel.cpp. GNU's OpenMP runtime and LLVM's both have the first three.
RUNTIME = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "_ZN2at15get_num_threadsEv")
INSIDE = "_ZN2at18in_parallel_regionEv"


class Library:
    """Functions of the library at `path`; raises DeviceError when it cannot be loaded."""

    def __init__(self, path: Path) -> None:
        try:
            self._native = ctypes.CDLL(str(path))
        except OSError as fault:
            raise DeviceError(f"the kernels cannot be loaded: {fault}") from None
        self.shares_threads = self._share_threads()
        """Whether they compute on torch's threads; else on the caller's alone."""

    def function(self, name: str, arguments: str) -> Callable[..., Any]:
        """The function of that name; `arguments` has a letter of KINDS for each. Few return anything."""
        found = self._native[name]
        found.argtypes = tuple(KINDS[letter] for letter in arguments)
        found.restype = ctypes.c_long
        return found

    def _share_threads(self) -> bool:
        """Hands over the OpenMP runtime that torch itself has loaded, found through torch's own library."""
        try:
            torch_cpu = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
            addresses = [ctypes.cast(torch_cpu[name], ctypes.c_void_p) for name in (*RUNTIME, INSIDE)]
        except (OSError, AttributeError):
            return False
        self.function("use_runtime", "ppppp")(*addresses)
        return True
