"""What every benchmark prints first: the machine, the versions, and how busy it was."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from chainrule.base import processor_class
from chainrule.config import MachineConfig
from chainrule.device import look_at_machine

PACKAGES = ("chainrule", "torch", "transformers", "tokenizers", "gigatoken", "numpy")


def print_about() -> None:
    """Prints machine, measured peak, load and versions."""
    facts = look_at_machine(MachineConfig())
    peak = f"{facts.peak_flops / 1e9:.0f} GFLOP/s {facts.precision} measured"
    kind, memory = processor_class().name, f"{facts.memory_bytes / 2**30:.0f} GiB"
    print(f"machine: {facts.cpu} ({kind}), {facts.threads} threads, {memory}, {facts.device}, {peak}")
    print(f"load: {os.getloadavg()[0]:.2f} before this run (anything above 0 was another process)")
    known = []
    for package in PACKAGES:
        try:
            known.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    print(f"versions: Python {platform.python_version()}, {', '.join(known)}")
