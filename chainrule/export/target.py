"""Formats of other tools: how each is written and read back, so that the proof and the folder are the same for all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from chainrule.base import ConfigError, disk_faults, nearest, write_bytes
from chainrule.checkpoint import OpenedModel, open_model
from chainrule.data import open_dataset
from chainrule.export.card import model_card
from chainrule.export.hugging_face import write_hugging_face
from chainrule.export.proof import ExportProof, ReadBack, prove
from chainrule.export.reference import Reference, require_transformers
from chainrule.export.unfinished import unfinished_folder
from chainrule.run import RunFolder, run_of

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


TARGETS = {
    "hf": Target(write_hugging_face, Reference, require_transformers, "transformers"),
}


def export(source: str | Path | OpenedModel, folder: Path, target: str = "hf") -> ExportProof:
    """Writes a model (opened, or whatever `open_model` opens) to `folder` in a format and proves it equal.

    The folder appears only once it was read back and its ids, logits and greedy text were equal, with a README.md;
    otherwise nothing is left and ExportError says what differs. Raises ConfigError when `folder` exists and is not
    empty or nothing is called `target`, MissingPackageError without the package that reads the format back.
    """
    if target not in TARGETS:
        raise ConfigError(f"{target!r} is no format to export to.{nearest(target, TARGETS)} Use {', '.join(TARGETS)}")
    chosen = TARGETS[target]
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
    with disk_faults(folder, "exporting to"), unfinished_folder(folder) as unfinished:
        chosen.write(opened, unfinished)
        found = prove(opened, chosen.read_back(unfinished), _held_out(run, opened), unfinished)
        proof = replace(found, folder=folder, origin=opened.origin, passed_over=opened.passed_over)
        write_bytes(unfinished / "README.md", model_card(opened, proof, run).encode())
    return proof


def _held_out(run: RunFolder | None, opened: OpenedModel) -> Sequence[Sequence[int]]:
    """Stretches of the run's held-out text, evenly spread; none when its data was made elsewhere or is gone."""
    if run is None or not run.manifest.is_file():
        return []
    dataset = open_dataset(run.data, verify=False)
    if dataset.manifest.tokenizer != opened.tokenizer.fingerprint:
        return []
    store = dataset.split("validation")
    length = min(HELD_OUT_TOKENS, opened.config.context_length, store.n_tokens)
    last = store.n_tokens - length
    starts = [last * place // HELD_OUT_SEQUENCES for place in range(HELD_OUT_SEQUENCES)]
    return [store.read(start, length).tolist() for start in starts]
