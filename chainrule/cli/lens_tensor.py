"""`chainrule lens tensor`: one tensor's form, memory and values."""

from pathlib import Path

from chainrule.cli.loading import load_torch
from chainrule.cli.named import check_subject
from chainrule.cli.options import AsJson
from chainrule.cli.output import put, say
from chainrule.show import format_of


def tensor(what: str, /, *, name: str | None = None, out: Path | None = None, as_json: AsJson = False) -> None:
    """Show one tensor: rank, shape, dtype, strides, storage, place in autograd, NaN and Inf, histogram and heatmap.

    A file or model of several tensors is listed when no --name says which one.

    For example:

    - `chainrule lens tensor "[[1, 2], [3, 4]]"`
    - `chainrule lens tensor "torch.arange(6).view(2, 3).T"`
    - `chainrule lens tensor runs/NAME --name blocks.0.attention.qkv.weight`
    - `chainrule lens tensor weights.npz:w --out w.html`

    Parameters
    ----------
    what
        A file (.npy, .npz, .safetensors; `file:name` picks one), a run, a checkpoint, a Hugging Face folder, a GGUF
        file, smollm2, or an expression on numbers.
    name
        Which of several; `blocks.0.attention.qkv` stands for `blocks.0.attention.qkv.weight`.
    out
        Also write it: .html (one self-contained page), .svg (histogram and heatmap), .json, .md or .txt.
    """
    check_subject(what)
    load_torch()
    from chainrule.lens import TensorView, formats_of, opening, render, save

    as_format = None if out is None else format_of(out, formats_of(TensorView))
    found = opening.open_tensor(what, name)
    if isinstance(found, TensorView) and out is not None:
        save(found, out, as_format)
        say(f"{out} is written")
    if as_json:
        put(render(found, "json"))
    elif not isinstance(found, TensorView):
        put(render(found))
        say(f"{len(found.tensors)} tensors in {found.origin}; choose one with --name")
    elif out is None:
        put(render(found))
