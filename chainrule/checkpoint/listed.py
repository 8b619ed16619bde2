"""A model's folder whose files are listed with their checksums: what is not as it was exported is named, not used."""

from collections.abc import Collection, Mapping
from pathlib import Path

from chainrule.base import SUMS, CheckpointError, disk_faults, read_sums, sha256_of_file

# In the metadata of weights that we write into a folder of their own: the name of the list that stands beside them.
SEALED = "chainrule.sums"


def unlisted(folder: Path, metadata: Mapping[str, object]) -> tuple[str, ...]:
    """A sentence where the weights' own metadata tell of a list that is not there; other people's have none to miss."""
    if metadata.get(SEALED) != SUMS or read_sums(folder) != {}:
        return ()
    return (
        f"{folder / SUMS}, the list of checksums that the model was written with, is gone: its files are taken as they "
        "stand",
    )


def check_listed(folder: Path, only: Collection[str] = ()) -> None:
    """Raises CheckpointError naming each listed file (of `only`, or any) that is not as the list has it, or is gone.

    A folder without a SHA256SUMS is believed as it stands; `unlisted` says where it had one.
    """
    known = read_sums(folder)
    if known is None:
        raise CheckpointError(
            f"{folder / SUMS} is damaged, and says nothing of the model beside it; export the model again, or remove "
            "the list to use the folder unchecked"
        )
    wrong = [name for name in sorted(known) if not only or name in only if not _is_whole(folder / name, known[name])]
    if wrong:
        raise CheckpointError(
            f"{', '.join(str(folder / name) for name in wrong)} was damaged or changed since the export (SHA-256 "
            f"differs from {SUMS}); export the model again, or remove the list if you changed it on purpose"
        )


def _is_whole(path: Path, known: Collection[str]) -> bool:
    if not path.is_file():
        return False
    with disk_faults(path, "reading"):
        return sha256_of_file(path) in known
