"""What a benchmark is asked: the peers, the text, the threads; and the text where none is given."""

import sysconfig
from dataclasses import dataclass
from pathlib import Path

OWN_TEXT = "Python's standard library"
OWN_CHARACTERS = 1_200_000


@dataclass(frozen=True)
class Asked:
    """The settings of one call. `precision` is what auto takes here, and `folder` is for files that do not stay.
    `peak_flops` is what products in that precision were measured to reach, on all `threads`.

    `text` is a file of characters; `given` says whether the user named it.
    """

    text: Path
    folder: Path
    precision: str
    threads: int
    peak_flops: float
    nanogpt: Path | None = None
    short: bool = False
    given: bool = True

    @property
    def text_name(self) -> str:
        """For a result: the file's name without its folder."""
        return self.text.name if self.given else OWN_TEXT


def own_text(folder: Path) -> Path:
    """Writes the beginning of the interpreter's standard library, in the order of its files' names, as one text."""
    parts: list[str] = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        content = path.read_bytes()
        if content.isascii():
            parts.append(content.decode())
        if sum(map(len, parts)) >= OWN_CHARACTERS:
            break
    place = folder / "standard_library.txt"
    place.write_text("".join(parts)[:OWN_CHARACTERS], encoding="utf-8")
    return place
