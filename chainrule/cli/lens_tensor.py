"""`chainrule lens tensor`: one tensor's form, memory and values."""

from pathlib import Path
from typing import TYPE_CHECKING

from chainrule.base import LensError, write_bytes
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from chainrule.lens import TensorView
    from chainrule.lens.open import Tensors

WRITTEN = (".html", ".svg", ".json", ".md", ".txt")


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
        A file (.npy, .npz, .safetensors; `file:name` picks one), a run, a checkpoint or a Hugging Face folder, or
        an expression on numbers.
    name
        Which of several; `blocks.0.attention.qkv` stands for `blocks.0.attention.qkv.weight`.
    out
        Also write it: .html (one self-contained page), .svg (histogram and heatmap), .json, .md or .txt.
    """
    if out is not None and out.suffix not in WRITTEN:
        raise LensError(f"--out {out} ends in none of {', '.join(WRITTEN)}")
    from chainrule.lens import tensor as looked_at
    from chainrule.lens.open import choose, open_tensors, split_name

    source, inside = split_name(what)
    origin, tensors = open_tensors(source)
    chosen = choose(tensors, name if name is not None else inside, origin)
    if chosen is None:
        _list(origin, tensors, as_json=as_json)
        return
    view = looked_at(chosen[1], name=chosen[0] or "t")
    if out is not None:
        write_bytes(out, _written(view, out.suffix).encode())
        say(f"{out} is written")
    if as_json:
        print_json(view.json())
    elif out is None:
        print(view.text())


def _written(view: "TensorView", suffix: str) -> str:
    import json

    if suffix == ".json":
        return json.dumps(view.json(), indent=2, ensure_ascii=False) + "\n"
    return {".html": view.html, ".svg": view.svg, ".md": view.markdown, ".txt": view.text}[suffix]()


def _list(origin: str, tensors: "Tensors", *, as_json: bool) -> None:
    """What there is to choose from."""
    shapes = {name: "×".join(map(str, one.shape)) or "()" for name, one in tensors.items()}
    rows = [(name, shapes[name], str(one.dtype)[6:], f"{one.numel():,}") for name, one in tensors.items()]
    if as_json:
        told = {name: {"shape": list(one.shape), "dtype": str(one.dtype)[6:]} for name, one in tensors.items()}
        print_json({"origin": origin, "tensors": told})
        return
    print_table("", ("tensor", "shape", "dtype", "elements"), rows)
    say(f"{len(rows)} tensors in {origin}; choose one with --name")
