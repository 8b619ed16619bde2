"""A benchmark as it was measured: all readings, the machine, the versions and what other programs did meanwhile."""

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chainrule.base import DataError, write_bytes
from chainrule.bench.contest import ContestResult

PACKAGES = ("chainrule", "torch", "numpy", "transformers", "tokenizers")
# Share of the time in which some task waited for a processor: from here on a figure tells of the others as well.
CONTENDED = 0.1


@dataclass(frozen=True)
class Result:
    """`kind` is the class of processor. `waited` is the share of the time in which some task waited for a processor."""

    benchmark: str
    made: str
    kind: str
    rounds: int
    threads: int
    short: bool
    text: str
    machine: dict[str, Any]
    versions: dict[str, str]
    waited: float | None
    contests: tuple[ContestResult, ...]

    @property
    def contended(self) -> bool:
        """Whether other programs computed meanwhile; no where the system does not tell."""
        return self.waited is not None and self.waited > CONTENDED


ADAPTER = TypeAdapter(Result)


def write_result(result: Result, folder: Path) -> Path:
    """Writes CLASS/NAME-DATE.json below the folder, and returns its path; an earlier result stays."""
    moment = re.sub(r"\D", "", result.made)[:14]
    path = folder / result.kind / f"{result.benchmark}-{moment[:8]}-{moment[8:]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, ADAPTER.dump_json(result, indent=1) + b"\n")
    return path


def row(result: Result) -> dict[str, Any]:
    """The result as JSON holds it."""
    found: dict[str, Any] = ADAPTER.dump_python(result, mode="json")
    return found


def read_results(folder: Path) -> list[Result]:
    """All results below the folder, oldest first; raises DataError for a file that is none, by its name."""
    found = []
    for path in sorted(folder.glob("*/*.json")):
        try:
            found.append(ADAPTER.validate_json(path.read_bytes()))
        except ValidationError as fault:
            first = fault.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise DataError(f"{path} is no result of a benchmark ({place}: {first['msg']}); move it away") from fault
    return sorted(found, key=lambda result: result.made)


def versions() -> dict[str, str]:
    """Of Python and of the packages that take part, where they are installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
