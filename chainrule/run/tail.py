"""A journal that is followed while it grows: only what is new is read, and a cut of what was read is noticed."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chainrule.run.chain import JournalLines, LinesSoFar
from chainrule.run.in_order import Numbers, sorted_lines
from chainrule.run.journal import parsed_rows

# So many bytes before the cursor are held against the file at each look: a journal that was cut back on a resume and
# has grown beyond the cursor again has others there, because rows hold steps and seconds.
ANCHOR_BYTES = 256
MOST_BYTES = 64 * 2**20


@dataclass
class Tail:
    """Where one journal was read up to."""

    path: Path
    place: int = 0
    """Bytes that were read: whole lines."""
    _anchor: bytes = field(default=b"", repr=False)
    _n_lines: int = 0
    _lines: LinesSoFar | None = None
    _numbers: Numbers = field(default_factory=Numbers, repr=False)
    _step: int = -1
    """The highest step that was given."""

    @property
    def wrong(self) -> str:
        """What of the lines so far is not as it was written, in words; empty where all is."""
        if self._lines is None and os.path.lexists(self.path) and not self.path.is_file():
            return JournalLines(self.path.name, no_file=True).wrong
        return self._lines.judged().wrong if self._lines else ""

    def read(self, most_bytes: int = MOST_BYTES) -> tuple[list[dict[str, Any]], bool]:
        """The rows that are new, of at most so many bytes, and whether all before them are void (cut back, replaced).

        A last line without its end is left for the next look: the trainer may be writing it. No file is an empty one.
        Rows that stand behind later ones are put in order where they are read together, and else, as rows that come
        again, left out: what was given cannot be taken back. `wrong` names them. Raises OSError where the disk does.
        """
        try:
            # What is no file (a pipe, which would be waited for) is as good as none; `journal_lines` names it.
            if not self.path.is_file():
                return [], self._forget()
            stream = self.path.open("rb")
        except FileNotFoundError:
            return [], self._forget()
        with stream:
            begin = max(0, self.place - ANCHOR_BYTES)
            stream.seek(begin)
            void = stream.read(self.place - begin) != self._anchor and self._forget()
            stream.seek(self.place)
            new = stream.read(most_bytes)
        end = new.rfind(b"\n") + 1
        if not end:
            # A line longer than is read at once is none of ours: a row has some hundred bytes.
            if len(new) == most_bytes:
                self.place, self._anchor = self.place + len(new), (self._anchor + new)[-ANCHOR_BYTES:]
            return [], void
        self._anchor = (self._anchor + new[:end])[-ANCHOR_BYTES:]
        self.place += end
        lines = new[:end].splitlines(keepends=True)
        self._lines = self._lines or LinesSoFar(self.path.name)
        for number, line in enumerate(lines, self._n_lines + 1):
            self._lines.take(number, line)
        self._n_lines += len(lines)
        return self._in_order(lines), void

    def _in_order(self, lines: list[bytes]) -> list[dict[str, Any]]:
        before, late = self._step, {line for line in lines if self._numbers.is_late(line)}
        given = []
        for line in sorted_lines(lines) if late else lines:
            for row in parsed_rows([line]):
                step = row.get("step", before)
                if line not in late or step > before:
                    given.append(row)
                    self._step = max(self._step, step)
        return given

    @property
    def behind(self) -> int:
        """Bytes that wait to be read."""
        try:
            return max(0, self.path.stat().st_size - self.place)
        except OSError:
            return 0

    def _forget(self) -> bool:
        """To the beginning; whether anything had been read."""
        had, self.place, self._anchor = self.place > 0, 0, b""
        self._n_lines, self._lines, self._numbers, self._step = 0, None, Numbers(), -1
        return had
