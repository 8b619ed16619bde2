"""Tensors from files, runs and expressions, by what a person writes."""

import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
from torch import Tensor

from chainrule.base import LensError, bytes_text, disk_faults, nearest
from chainrule.checkpoint import is_word_of_a_model, open_model, read_tensors
from chainrule.lens.expressions import written_tensor
from chainrule.lens.tensors import TensorList, TensorView, as_tensor, tensor
from chainrule.run import RUNS, RunFolder, list_runs, model_source

# What NumPy's reader raises on a damaged or made-up file: it hands the header to Python's tokenizer and parser.
NUMPY_FAULTS = (
    *(ValueError, EOFError, KeyError, TypeError, OverflowError, RecursionError, SyntaxError, TokenError),
    *(zipfile.BadZipFile, zlib.error),
)
# Weights shrink by a tenth; only arrays of one number go to a hundredth and below.
UNFOLDED_FROM, UNFOLDED_RATIO = 64 << 20, 100
SUFFIXES = (".npy", ".npz", ".safetensors")
NAMES_SHOWN = 6
Tensors = dict[str, Tensor]


def open_tensor(what: str, name: str | None = None) -> TensorView | TensorList:
    """What is to be said of the tensor that `what` stands for, or the list of several where no name says which.

    `what` is as for `open_tensors`; `file.npz:weights` and `runs/NAME:weights` have the name in them, and `name` goes
    before it. `blocks.0.attention.qkv` stands for `blocks.0.attention.qkv.weight`.
    """
    source, inside = split_name(what)
    found = open_tensors(source)
    chosen = choose(found, inside if name is None else name)
    return found if chosen is None else tensor(chosen[1], name=chosen[0] or "t")


def open_tensors(what: str) -> TensorList:
    """Every tensor of `what`, by name, and where it came from. A single one without a name is called "".

    `what` is a file (.npy, .npz, .safetensors), a run, a checkpoint, a Hugging Face folder, a GGUF file, smollm2, or an
    expression.
    Raises LensError when it is none, CheckpointError or RunError for a damaged model.
    """
    path = Path(what)
    word = not path.exists() and is_word_of_a_model(what)
    if path.is_dir() or path.suffix == ".gguf" or word or RunFolder(RUNS / what).config.is_file():
        opened = open_model(model_source(what))
        return TensorList(opened.origin, dict(opened.model.state_dict()))
    if path.is_file():
        return TensorList(f"the file {path}", _from_file(path))
    if path.suffix in SUFFIXES:
        raise LensError(f"there is no file {what}.{nearest(path.name, _beside(path))}")
    try:
        return TensorList(what, {"": written_tensor(what)})
    except LensError as fault:
        if "/" in what or what.isidentifier():
            runs = [run.name for run in list_runs(RUNS)]
            raise LensError(
                f"{what} is no file, no run and no expression.{nearest(path.name, [*runs, *_beside(path)])} "
                f"Give a file ({', '.join(SUFFIXES)}), a run, or numbers such as '[[1, 2], [3, 4]]'"
            ) from fault
        raise


def split_name(what: str) -> tuple[str, str | None]:
    """`file.npz:weights` is a file and a name; a colon in the name of an existing file or in an expression is not."""
    before, colon, name = what.rpartition(":")
    if colon and not Path(what).exists() and (Path(before).exists() or Path(before).suffix in SUFFIXES):
        return before, name
    if colon and not Path(what).exists() and (RunFolder(RUNS / before).config.is_file() or is_word_of_a_model(before)):
        return before, name
    return what, None


def choose(found: TensorList, name: str | None) -> tuple[str, Tensor] | None:
    """The tensor of that name, or the only one; None when several could be meant and no name was given."""
    tensors = found.tensors
    if name is None:
        return next(iter(tensors.items())) if len(tensors) == 1 else None
    for known in (name, f"{name}.weight"):
        if known in tensors:
            return known, tensors[known]
    below = [known for known in tensors if known.startswith(f"{name}.") or name in known]
    names = ", ".join(below[:NAMES_SHOWN] or list(tensors)[:NAMES_SHOWN])
    more = " …" if max(len(below), 0 if below else len(tensors)) > NAMES_SHOWN else ""
    raise LensError(f"{found.origin} has no tensor {name!r}.{nearest(name, tensors)} There are: {names}{more}")


def named_tensor(pair: str) -> tuple[str, Tensor]:
    """NAME=VALUE as a name and a tensor: a shape, numbers, an expression or a file; raises LensError for less."""
    name, equals, text = pair.partition("=")
    name = name.strip()
    if not equals or not name.isidentifier():
        raise LensError(f"--tensor {pair!r} is not NAME=VALUE, such as x=2x3, x=2x3:int64 or 'x=[[1, 2], [3, 4]]'")
    source, inside = split_name(text)
    if source.endswith(SUFFIXES):
        found = open_tensors(source)
        chosen = choose(found, inside)
        if chosen is None:
            names = ", ".join(list(found.tensors)[:NAMES_SHOWN])
            raise LensError(f"{found.origin} holds several tensors: write {name}={source}:NAME, one of {names}")
        return name, chosen[1]
    return name, written_tensor(text)


def _from_file(path: Path) -> Tensors:
    readers = {".npy": _numpy, ".npz": _numpy, ".safetensors": _safetensors}
    read = readers.get(path.suffix)
    if read is None:
        raise LensError(
            f"{path} is not read; {', '.join(SUFFIXES)} are. A file of torch.save is a pickle, which can hold code: "
            "where you trust it, load it and write it with safetensors.torch.save_file"
        )
    with disk_faults(path, "reading"):
        found = read(path)
    if not found:
        raise LensError(f"{path} holds no tensor")
    return found


def _numpy(path: Path) -> Tensors:
    try:
        if path.suffix == ".npz":
            _check_unfolding(path)
            loaded = dict(np.load(path, allow_pickle=False))
        else:
            # Mapped first: a header that promises more than the file has is refused before anything is allocated.
            loaded = {"": np.array(np.load(path, mmap_mode="r", allow_pickle=False))}
    except MemoryError as fault:
        raise LensError(f"{path} asks for more memory than there is; it may be damaged, or made to do so") from fault
    except NUMPY_FAULTS as fault:
        raise LensError(f"{path} is not a NumPy file of numbers: {[*str(fault).splitlines(), ''][0]}") from fault
    return {name: as_tensor(array)[0] for name, array in loaded.items()}


def _check_unfolding(path: Path) -> None:
    """Raises LensError for an archive that unfolds into far more than weights ever do; it is not unfolded for that."""
    with zipfile.ZipFile(path) as archive:
        unfolded = sum(one.file_size for one in archive.infolist())
    if unfolded > max(UNFOLDED_FROM, UNFOLDED_RATIO * path.stat().st_size):
        raise LensError(
            f"{path} unfolds from {bytes_text(path.stat().st_size)} into {bytes_text(unfolded)}: this looks like a "
            "compression bomb; where it is meant, write it again by np.savez"
        )


def _safetensors(path: Path) -> Tensors:
    return read_tensors(path)


def _beside(path: Path) -> list[str]:
    return [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
