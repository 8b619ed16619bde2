"""SHA256SUMS: the checksums of a folder's files, as `sha256sum` writes and checks them, and of the list itself.

The last line is a comment to sha256sum and the list's own checksum to us: a damaged list is told from a damaged file.
Lists of other people have no such line, and are believed.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from chainrule.base.disk import disk_faults, sha256_of_file, write_bytes

SUMS = "SHA256SUMS"
# A folder of 100,000 files has so much.
MOST_BYTES = 16 << 20
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
OWN = "# sha256 of the lines above: "

Sums = Mapping[str, tuple[str, ...]]
"""By the path below the folder; two where the file is being written, and may be either."""


def write_sums(folder: Path, sums: Sums) -> None:
    """Writes the list, whole or not at all."""
    lines = "".join(f"{digest}  {name}\n" for name in sorted(sums) for digest in sums[name])
    own = hashlib.sha256(lines.encode()).hexdigest()
    write_bytes(folder / SUMS, f"{lines}{OWN}{own}\n".encode())


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The checksums of those files as they are."""
    return {name: (sha256_of_file(folder / name),) for name in names}


def read_sums(folder: Path) -> dict[str, tuple[str, ...]] | None:
    """The list of a folder; empty where there is none, None where it is damaged, or no file that can be read."""
    path = folder / SUMS
    if not path.is_file():
        return None if os.path.lexists(path) else {}
    with disk_faults(path, "reading"):
        if path.stat().st_size > MOST_BYTES:
            return None
        content = path.read_bytes()
    try:
        return _read(content.decode())
    except ValueError:
        return None


def _read(text: str) -> dict[str, tuple[str, ...]] | None:
    body, mark, own = text.rpartition(OWN)
    if mark and own != f"{hashlib.sha256(body.encode()).hexdigest()}\n":
        return None
    found: dict[str, tuple[str, ...]] = {}
    for line in (body if mark else text).splitlines():
        match = LINE.fullmatch(line)
        if match is None:
            return None
        found[match[2]] = (*found.get(match[2], ()), match[1])
    return found
