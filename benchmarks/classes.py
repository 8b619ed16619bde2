"""The table of this machine, and of every lower class of processor that it can be forced to: found, measured, chosen.

python benchmarks/classes.py [--steps]

Each class is a process of its own, because torch reads the variables when it is loaded. With --steps the threads are
tried on the update of a small model (192 wide, 4 layers, 2,048 tokens), as a run does before its first step.
"""

import argparse
import os
import subprocess
import sys

import numpy as np
from about import print_about

from chainrule.base import processor_class
from chainrule.config import Layer, MachineConfig, modern, resolve
from chainrule.data import Windows
from chainrule.device import Precision, look_at_machine, machine_table

FORCED = {
    "as it is": {},
    "avx512-bf16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_BF16"},
    "AVX-512 without bfloat16": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
}


def here(steps: bool) -> None:
    """Prints the table of this process's class."""
    facts = look_at_machine(MachineConfig(device="cpu"))
    for section, name, value in machine_table(facts):
        print(f"  {section:9} {name:21} {value}")
    for doubt in facts.warnings:
        print(f"  warning   {doubt}")
    if steps:
        from chainrule.train.objective import NextToken
        from chainrule.train.state import TrainState
        from chainrule.train.timing import time_updates

        layers = [Layer("shape", modern(192, 3, 4, 256, 2048)), Layer("batch", {"training": {"batch_tokens": 2048}})]
        config = resolve(layers).config
        windows = Windows(np.random.default_rng(0).integers(0, 2048, (8, 257)), None)
        state = TrainState.fresh(config, Precision("cpu", facts.precision))
        timed = time_updates(state, NextToken(state.model.loss), windows, facts)
        tried = ", ".join(f"{count}: {seconds:.3f} s" for count, seconds in sorted(timed.tried.items()))
        print(f"  measured  threads               {tried} a round; {timed.threads} taken")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--here", action="store_true", help="only this process's own class (used by the script itself)")
    given = parser.parse_args()
    if given.here:
        here(given.steps)
        return
    print_about()
    for name, variables in FORCED.items():
        if variables and processor_class().name in ("neon", "neon-bf16", "other"):
            continue
        print(f"\n{name}: {' '.join(f'{key}={value}' for key, value in variables.items())}", flush=True)
        command = [sys.executable, __file__, "--here", *(["--steps"] if given.steps else [])]
        subprocess.run(command, env={**os.environ, **variables}, check=True)


if __name__ == "__main__":
    main()
