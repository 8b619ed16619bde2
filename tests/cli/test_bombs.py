"""Small files that promise to be huge are refused before they are: memory and work are measured in a child."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

pytest.importorskip("resource", reason="memory of a child is not told here")

MEASURED = """
import json, resource, sys
from chainrule.base import resident_bytes
from chainrule.cli import main
import torch
scale = 1 if sys.platform == "darwin" else 1024
before, used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale, sum(resource.getrusage(0)[:2])
code = main(sys.argv[1:])
after = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([code, after.ru_maxrss * scale - before, sum(after[:2]) - used]))
"""
MOST_BYTES = 200 << 20
MODEL = {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 257, "n_positions": 32}
MODEL |= {"n_embd": 16, "n_head": 2, "n_layer": 1}


def zeros(stream, n_bytes: int) -> None:
    block = bytes(1 << 20)
    for _ in range(n_bytes >> 20):
        stream.write(block)


def npz(path):
    """A megabyte that unfolds into a gigabyte."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("w.npy", "w", force_zip64=True) as one,
    ):
        np.lib.format.write_array_header_1_0(one, {"descr": "<f4", "fortran_order": False, "shape": (1 << 28,)})
        zeros(one, 1 << 30)
    return ["lens", "tensor", str(path)], "compression bomb"


def npy(path):
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    return ["lens", "tensor", str(path)], "is not a NumPy file of numbers"


def docx(path):
    pytest.importorskip("defusedxml")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("word/document.xml", "w") as one:
            zeros(one, 1 << 28)
    return ["prepare", str(path), "--machine.cache", str(path.parent / "cache")], "compression bomb"


def toml(path):
    path.write_text("a" + ".a" * 20_000 + " = 1\n")
    return ["config", "show", str(path)], "nested too deeply"


def model(path, **changed):
    path.mkdir()
    (path / "config.json").write_text(json.dumps(MODEL | changed))
    weights = {"wte.weight": np.zeros((257, 16), "f4"), "wpe.weight": np.zeros((32, 16), "f4")}
    save_file(weights, path / "model.safetensors")
    vocabulary = {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}
    (path / "tokenizer.json").write_text(json.dumps(vocabulary))
    return ["generate", str(path), "a"]


BOMBS = {
    "x.npz": npz,
    "x.npy": npy,
    "x.docx": docx,
    "x.toml": toml,
    "vocabulary": lambda path: (model(path, vocab_size=2 * 10**9), "asks for [2000000000, 16]"),
    "positions": lambda path: (model(path, n_positions=10**12), "n_positions = 1000000000000"),
    "layers": lambda path: (model(path, n_layer=10**6), "do not fit their config.json"),
    "width": lambda path: (model(path, n_embd=10**6), "asks for [257, 1000000]"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_promises_to_be_huge_is_refused_before_it_is(name, tmp_path):
    words, told = BOMBS[name](tmp_path / name)
    call = [sys.executable, "-c", MEASURED, *words]
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    code, grown, seconds = json.loads(done.stdout.splitlines()[-1])
    assert code == 2 and told in done.stderr and "Traceback" not in done.stderr
    # What the program needs by itself is in it; a gigabyte that is unfolded, or allocated and touched, is not.
    assert grown < MOST_BYTES, f"{grown / 2**20:.0f} MiB, {seconds:.1f} s of work"
