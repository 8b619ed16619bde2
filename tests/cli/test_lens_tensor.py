"""`chainrule lens tensor` finds tensors wherever they lie, and says clearly when there is none."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from chainrule.checkpoint import write_tensors
from chainrule.cli import main
from chainrule.cli.lens_demo import tensors as demo_tensors


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys, *arguments, code=0):
    """The JSON that the command prints."""
    assert main(["lens", "tensor", *arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments):
    """The message of a refusal."""
    assert main(["lens", "tensor", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert not out and "Traceback" not in err
    return err


def test_numbers_and_expressions_are_tensors(capsys, here):
    assert told(capsys, "[[1, 2], [3, 4]]")["dtype"] == "int64"
    assert told(capsys, "torch.arange(6).view(2, 3).T")["layout"]["stride"] == [1, 3]
    assert main(["lens", "tensor", "[[1, 2], [3, 4]]"]) == 0
    assert "a matrix, 2×2 int64 on cpu" in capsys.readouterr().out


def test_files_of_every_format_are_read(capsys, here):
    one = torch.arange(6.0).view(2, 3)
    np.save("a.npy", one.numpy())
    np.savez("a.npz", w=one.numpy(), b=np.zeros(3))
    with (here / "a.safetensors").open("wb") as stream:
        write_tensors(stream, {"w": one})
    for what in ("a.npy", "a.npz:w", "a.safetensors"):
        assert told(capsys, what)["elements"] == one.tolist()
    assert told(capsys, "a.npz", "--name", "b")["shape"] == [3]


def test_several_tensors_are_listed(capsys, here):
    np.savez("a.npz", w=np.zeros((2, 3)), b=np.zeros(3))
    assert set(told(capsys, "a.npz")["tensors"]) == {"w", "b"}
    assert main(["lens", "tensor", "a.npz"]) == 0
    out, err = capsys.readouterr()
    assert "2×3" in out and "choose one with --name" in err


@pytest.mark.xdist_group("trained")
def test_a_weight_of_a_run_is_found_with_and_without_its_last_word(capsys, runs_folder):
    run = str(runs_folder / "first")
    whole = told(capsys, run, "--name", "blocks.0.attention.qkv.weight")
    assert whole["shape"] == [96, 32]
    assert told(capsys, run, "--name", "blocks.0.attention.qkv") == whole
    assert "Did you mean 'blocks.0.attention.qkv.weight'" in refused(
        capsys, run, "--name", "blocks.0.atention.qkv.wieght"
    )


@pytest.mark.parametrize("suffix", ["html", "svg", "json", "md", "txt"])
def test_it_is_written_in_five_formats(capsys, here, suffix):
    assert main(["lens", "tensor", "torch.randn(20, 30)", "--out", f"t.{suffix}"]) == 0
    out, err = capsys.readouterr()
    assert not out and f"t.{suffix} is written" in err
    content = (here / f"t.{suffix}").read_text(encoding="utf-8")
    assert "20" in content
    if suffix == "json":
        json.loads(content)


def test_what_is_not_there_or_no_tensor_is_refused_with_what_to_do(capsys, here):
    (here / "text.npy").write_text("hello")
    (here / "text.npz").write_text("hello")
    (here / "text.safetensors").write_text("hello")
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    torch.save({"w": torch.ones(2)}, "pickle.pt")
    assert "Did you mean 'text.npy'" in refused(capsys, "texd.npy")
    for name in ("text.npy", "text.npz", "text.safetensors", "objects.npy", "pickle.pt"):
        assert name in refused(capsys, here / name)
    assert "safetensors.torch.save_file" in refused(capsys, "pickle.pt")
    assert "no file, no run and no expression" in refused(capsys, "nothing")
    assert "end it in .html" in refused(capsys, "[1]", "--out", "t.png")
    assert "end it in .html" in refused(capsys, "[1]", "--out", "t.tex")
    assert "no tensor 'w'" in refused(capsys, "[1]", "--name", "w")
    assert "breaks at" in refused(capsys, "torch.ones(2) @ torch.ones(3)")


def test_the_demo_prints_the_tour(capsys):
    demo_tensors()
    assert ">>> matrix @ weights" in capsys.readouterr().out
    demo_tensors(as_json=True)
    assert json.loads(capsys.readouterr().out)["sections"]


def test_a_damaged_or_made_up_array_is_refused_by_its_name(here, capsys):
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**44,)}
    with Path("huge.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
    cut = b"{'descr': '<f8', "
    Path("cut.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(cut).to_bytes(2, "little") + cut)
    np.savez_compressed("bits.npz", a=np.arange(9000))
    damaged = bytearray(Path("bits.npz").read_bytes())
    damaged[200:260] = b"\xff" * 60
    Path("bits.npz").write_bytes(damaged)
    for name in ("huge.npy", "cut.npy", "bits.npz"):
        assert name in refused(capsys, name)
