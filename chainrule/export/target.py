"""Formats of other tools: how each is written and read back, so that the proof and the folder are the same for all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from chainrule.base import ConfigError, disk_faults, nearest, require_room, sums_of, write_bytes, write_sums
from chainrule.checkpoint import OpenedModel, open_model
from chainrule.data import run_dataset
from chainrule.export.card import model_card
from chainrule.export.gguf import USE, GgufReadBack, as_written, require, write_gguf_folder
from chainrule.export.hugging_face import USE_WITH_TRANSFORMERS, write_hugging_face
from chainrule.export.proof import ExportProof, ReadBack, differences, prove
from chainrule.export.reference import Reference, require_transformers
from chainrule.export.unfinished import unfinished_folder
from chainrule.run import RunFolder, run_of

# All others are listed in SHA256SUMS, by which who opens the model knows damage.
EDITED_BY_PEOPLE = ("README.md", "Modelfile")
HELD_OUT_SEQUENCES = 4
HELD_OUT_TOKENS = 512


class Write(Protocol):
    """Writes a model into an empty folder."""

    def __call__(self, opened: OpenedModel, folder: Path) -> None:
        """Everything that the other tool reads."""


@dataclass(frozen=True)
class Target:
    """A format: who writes it, who reads it back for the proof, what it needs, and what it is called."""

    write: Write
    read_back: Callable[[Path], ReadBack]
    require: Callable[[], object]
    """Raises MissingPackageError when what the proof needs is not installed."""
    words: str
    use: str = ""
    """How what was written is used, in Markdown, for the model card; with the library's name as Hugging Face has it."""
    card_library: str = ""
    as_written: Callable[[OpenedModel], OpenedModel] = lambda opened: opened
    """The model that the folder promises: of a format that rounds weights, the one with the rounded ones."""
    bytes_per_number: float = 4.0
    dtypes: Mapping[str, "Target"] = field(default_factory=dict)
    """The same format with numbers of another kind, by what the kind is called; the first is this one."""


def _gguf(dtype: str) -> Target:
    return Target(
        partial(write_gguf_folder, dtype=dtype),
        partial(GgufReadBack, dtype=dtype),
        require,
        "llama.cpp",
        use=USE,
        card_library="gguf",
        as_written=partial(as_written, dtype=dtype),
        bytes_per_number=GGUF_BYTES[dtype],
    )


# Q8_0: 32 numbers in 34 bytes (ggml's block_q8_0).
GGUF_BYTES = {"F16": 2.0, "F32": 4.0, "Q8_0": 34 / 32}
GGUF = {name: _gguf(name.upper()) for name in ("f16", "f32", "q8_0")}
TARGETS = {
    "hf": Target(
        write_hugging_face, Reference, require_transformers, "transformers", USE_WITH_TRANSFORMERS, "transformers"
    ),
    "gguf": replace(GGUF["f16"], dtypes=GGUF),
}


def export(
    source: str | Path | OpenedModel, folder: Path, target: str = "hf", *, dtype: str | None = None
) -> ExportProof:
    """Writes a model (opened, or whatever `open_model` opens) to `folder` in a format and proves it equal.

    `dtype` says what the numbers of a GGUF are written in: "f16" unless given, "f32" or "q8_0".

    The folder appears only once it was read back and its ids, logits and greedy text were equal, with a README.md;
    otherwise nothing is left and ExportError says what differs. Raises ConfigError when `folder` exists and is not
    empty or nothing is called `target`, MissingPackageError without the package that reads the format back, DiskError
    before the first byte when there is no room for the folder.
    """
    chosen = _chosen(target, dtype)
    chosen.require()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} exists and is not empty; give the name of a new folder")
    opened = source if isinstance(source, OpenedModel) else open_model(source)
    if not opened.config.exportable:
        raise ConfigError(
            f"{opened.origin} was trained with model.exportable = false: no architecture of {chosen.words} computes "
            "its shape; chainrule generate and evaluate read it as it is"
        )
    run = None if isinstance(source, OpenedModel) else run_of(Path(source))
    require_room(
        folder.absolute(),
        round(chosen.bytes_per_number * sum(one.numel() for one in opened.model.parameters())),
        f"the model in the format of {chosen.words}",
        "Free some, or name a folder on another disk",
    )
    with disk_faults(folder, "exporting to"), unfinished_folder(folder) as unfinished:
        chosen.write(opened, unfinished)
        promised, held_out = chosen.as_written(opened), _held_out(run, opened)
        found = prove(promised, chosen.read_back(unfinished), held_out, unfinished)
        rounded = 0.0 if promised is opened else differences(opened, promised.model, held_out).largest_difference
        proof = replace(
            found,
            folder=folder,
            origin=opened.origin,
            passed_over=opened.passed_over,
            unchecked=opened.unchecked,
            rounding_difference=rounded,
        )
        card = model_card(opened, proof, run, library=chosen.card_library, use=chosen.use)
        write_bytes(unfinished / "README.md", card.encode())
        names = sorted(path.name for path in unfinished.iterdir() if path.name not in EDITED_BY_PEOPLE)
        write_sums(unfinished, sums_of(unfinished, names))
    return proof


def _chosen(target: str, dtype: str | None) -> Target:
    """The format by its name, with its numbers in `dtype`; raises ConfigError with what there is."""
    if target not in TARGETS:
        raise ConfigError(f"{target!r} is no format to export to.{nearest(target, TARGETS)} Use {', '.join(TARGETS)}")
    chosen = TARGETS[target]
    if dtype is None:
        return chosen
    if dtype not in chosen.dtypes:
        kinds = ", ".join(chosen.dtypes)
        raise ConfigError(
            f"{target} is not written in {dtype!r}.{nearest(dtype, chosen.dtypes)} "
            + (f"Use {kinds}" if kinds else "It has one kind of numbers; leave --dtype out")
        )
    return chosen.dtypes[dtype]


def _held_out(run: RunFolder | None, opened: OpenedModel) -> Sequence[Sequence[int]]:
    """Stretches of the run's held-out text, evenly spread; none when its data was made elsewhere or is gone."""
    if run is None or not run.manifest.is_file():
        return []
    dataset = run_dataset(run)
    dataset.check_tokenizer(opened.tokenizer.fingerprint, opened.origin)
    store = dataset.split("validation")
    length = min(HELD_OUT_TOKENS, opened.config.context_length, store.n_tokens)
    last = store.n_tokens - length
    starts = [last * place // HELD_OUT_SEQUENCES for place in range(HELD_OUT_SEQUENCES)]
    return [store.read(start, length).tolist() for start in starts]
