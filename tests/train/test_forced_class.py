"""The whole path, from text to writing, on a processor of another class: forced, in a process of its own."""

import json
import os
import subprocess
import sys

import pytest

from chainrule.base import processor_class

CODE = """
import importlib.util, json, sys
from pathlib import Path
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from chainrule.cli import main
from chainrule.config import Layer
from chainrule.run import Machine
from chainrule.train import pretrain

class Formats(TorchDispatchMode):
    seen = set()
    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        leaves = torch.utils._pytree.tree_leaves((arguments, result))
        self.seen |= {str(leaf.dtype) for leaf in leaves if isinstance(leaf, torch.Tensor)}
        return result

run, texts, tiny = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
training = {**tiny["training"], "steps": 4, "health_every": 2}
over = {"text": {"paths": [texts], "near_duplicates": "keep"}, "machine": {"threads": 1}, "training": training}
with Formats() as formats:
    # The look at the machine, which ends with the row of that kind, tries bfloat16 at one small size.
    watch = lambda record: formats.seen.clear() if isinstance(record, Machine) else None
    pretrain([Layer("tiny", {**tiny, **over})], run, watch=watch)
record = json.loads((run / "machine.json").read_text("utf-8"))["machine"]
print(json.dumps({"record": record, "seen": sorted(formats.seen)}))
sys.exit(main(["generate", str(run), "the ", "--max-new-tokens", "4"]))
"""


def test_forced_to_avx2_a_run_trains_looks_and_writes_in_float32(texts, tmp_path):
    if processor_class().name.startswith("neon"):
        pytest.skip("x86 alone")
    from_conftest = {
        "model": {"vocab_size": 257, "context_length": 16, "emb_dim": 16, "n_heads": 2, "n_layers": 2},
        "vocabulary": {"kind": "bytes"},
        "optimizer": {"kind": "muon", "lr": 1e-2},
        "training": {"batch_tokens": 64, "eval_every": 4, "eval_tokens": 64, "sample_every": 4, "sample_tokens": 4},
    }
    forced = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    given = [sys.executable, "-c", CODE, str(tmp_path / "run"), str(texts), json.dumps(from_conftest)]
    done = subprocess.run(given, env=forced, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert told["record"]["processor_class"] in ("avx2", "other")
    assert told["record"]["precision"] == "float32"
    assert "torch.float32" in told["seen"]
    assert "torch.bfloat16" not in told["seen"]
    assert done.stdout.splitlines()[-1].startswith("the ")
