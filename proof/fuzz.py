"""Every reader of foreign bytes, fed with what nobody would write: whatever comes, it is read or refused by our error.

    python -m proof.fuzz [--minutes 10] [--only gguf safetensors] [--seed 0] [--engine hypothesis]

A target is a reader and some sound inputs. An input is one of those after a few edits (bytes flipped, cut, repeated,
words and numbers put in their place). Allowed are an answer and the errors of ChainruleError's tree; a find is any
other exception, more than MOST_SECONDS of processor time, or more than MOST_BYTES of memory. hypothesis makes the
edits and shrinks what fails; atheris (`pip install atheris`), where it is installed and asked for, chooses them by the
lines that they reach. Inputs are read in children, so that what ends a process (a crash, memory that is refused) is a
find too, with its input, and the next reader is tried. Exit code 1 when anything was found; each find is printed with
its input.
"""

import argparse
import base64
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from chainrule.base import ChainruleError
from proof.fuzz_child import Board, in_child
from proof.fuzz_targets import TARGETS, Target

MOST_SECONDS, MOST_BYTES, HANGS_SECONDS = 2.0, 1 << 30, 60
# A reader that hears no signal any more is killed.
DEAF_SECONDS = 90.0
ROUND = 100
ALLOWED: tuple[type[Exception], ...] = (ChainruleError,)
# What a parser's author forgets: the ends of whole numbers, depth, emptiness, what other languages call a number.
WORDS = (
    *(b"", b"0", b"-1", b"255", b"65536", b"2147483648", b"18446744073709551616", b"1e999", b"NaN", b"-Infinity"),
    *(b"null", b"true", b"[]", b"{}", b'""', b"[" * 400, b'{"a":' * 400, b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\n"),
    *(b'"', b"'", b"\\", b"\\ud800", b"../../x", b"/dev/zero", b"9" * 5000, b"\x1b[2J", b"\xe2\x80\xae"),
)
EDITS = ("flip", "set", "cut", "repeat", "insert", "number", "end", "swap")


class SlowError(Exception):
    """An input that took too long, or too much memory."""


@dataclass
class Row:
    """What a target went through: inputs tried, how many were refused, the finds, the seconds."""

    target: str
    engine: str
    tried: int = 0
    refused: int = 0
    finds: list[str] = field(default_factory=list)
    seconds: float = 0.0


@st.composite
def edited(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """One of the seeds after up to six edits."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(EDITS))
        at = draw(st.integers(0, max(0, len(content) - 1)))
        # The head of a file says how the rest is read: half of the edits are made there.
        at = min(at, draw(st.sampled_from((len(content), 64, 512))))
        size = draw(st.sampled_from((1, 2, 4, 8, 64, 1000)))
        if kind == "flip" and content:
            content[min(at, len(content) - 1)] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set":
            content[at : at + size] = draw(st.binary(max_size=16))
        elif kind == "cut":
            del content[at : at + size]
        elif kind == "repeat":
            content[at:at] = content[at : at + size] * draw(st.sampled_from((1, 3, 50)))
        elif kind == "insert":
            content[at:at] = draw(st.sampled_from(WORDS))
        elif kind == "number":
            width = draw(st.sampled_from((1, 2, 4, 8)))
            value = draw(st.sampled_from((0, 1, 2**7, 2**15, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64 - 1)))
            content[at : at + width] = (value % 256**width).to_bytes(width, "little")
        elif kind == "end":
            del content[at:]
        else:
            other = draw(st.sampled_from(seeds))
            content[at : at + size] = other[at : at + size]
    return bytes(content)


@contextmanager
def bounded() -> Iterator[None]:
    """Raises SlowError for what takes too much; what never ends is ended."""

    def hang(number: int, frame: Any) -> None:
        raise SlowError(f"no end after {HANGS_SECONDS} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(HANGS_SECONDS)
    began, most = time.process_time(), peak_bytes()
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    # Of the processor: how long it takes by the clock depends on what else the machine does.
    if (took := time.process_time() - began) > MOST_SECONDS:
        raise SlowError(f"{took:.1f} s of processor time")
    if (more := peak_bytes() - most) > MOST_BYTES:
        raise SlowError(f"{more >> 20} MiB more than anything before")


def peak_bytes() -> int:
    """The most memory that this process ever had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def read(target: Target, content: bytes, row: Row) -> None:
    """One input; raises what is a find."""
    row.tried += 1
    allowed: tuple[type[Exception], ...] = (*ALLOWED, *target.allowed)
    try:
        with bounded():
            target.read(content)
    except allowed:
        row.refused += 1


def by_hypothesis(target: Target, seconds: float, seed: int, *, most: float = math.inf) -> Row:
    """Rounds of edits, each in a child, until the time is over, `most` inputs were tried, or something is found."""
    row, began, board = Row(target.name, "hypothesis"), time.monotonic(), Board(target.seeds)

    def going_on() -> bool:
        return time.monotonic() - began < seconds and row.tried < most

    tried = 0
    while going_on() and not row.finds:
        died = in_child(partial(_round, target, row, board, seed + tried, going_on), board, DEAF_SECONDS)
        row.tried, row.refused = board.counts()
        if find := f"{died}; {as_input(board.content())}" if died else board.find():
            row.finds.append(find)
        tried += 1
    row.seconds = time.monotonic() - began
    return row


def _round(target: Target, row: Row, board: Board, seed: int, going_on: Callable[[], bool]) -> None:
    """Tries ROUND inputs, in a child; a find is shrunk and left on the board."""
    last, find = b"", ""

    @seeded(seed)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    @given(edited(target.seeds))
    def one(content: bytes) -> None:
        nonlocal last
        if going_on():
            last = content
            board.begin(content, row.tried + 1, row.refused)
            read(target, content, row)

    try:
        one()
    except BaseException as fault:  # a panic in Rust is no Exception
        find = described(fault, last)
    board.end(row.tried, row.refused, find)


def described(fault: BaseException, content: bytes) -> str:
    """The exception, where in our code it was raised, and the input."""
    ours = [one for one in traceback.extract_tb(fault.__traceback__) if "/chainrule/" in one.filename]
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "outside of our code"
    return f"{type(fault).__name__} at {place}: {str(fault)[:200]}; {as_input(content)}"


def as_input(content: bytes) -> str:
    """An input as it is told."""
    return f"input (base64, {len(content)} bytes): {base64.b64encode(content).decode()[:4000]}"


def by_atheris(name: str, seconds: float, seed: int) -> Row:
    """The same in a process of its own, whose inputs are chosen by coverage."""
    row, began = Row(name, "atheris"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "proof.fuzz_atheris", name, folder, str(int(seconds)), str(seed + 1)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, start_new_session=True
        )
        for line in done.stderr.splitlines():
            if line.startswith("#") and line[1:].split()[0].isdigit():
                row.tried = int(line[1:].split()[0])
        for path in Path(folder).glob("crash-*"):
            told = [line for line in done.stdout.splitlines() if line.startswith("find: ")]
            row.finds.append(told[-1] if told else f"see {done.stderr[-800:]}; {base64.b64encode(path.read_bytes())!r}")
        if done.returncode and not row.finds:
            row.finds.append(f"atheris ended with {done.returncode}: {done.stderr[-800:]}")
    row.seconds = time.monotonic() - began
    return row


def run(minutes: float, only: tuple[str, ...] = (), seed: int = 0, engine: str = "hypothesis") -> list[Row]:
    """Each target for its share of the minutes; the rows of the table."""
    names = [name for name in TARGETS if not only or name in only]
    share = 60 * minutes / len(names)
    rows = []
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        for name in names:
            if engine == "atheris":
                rows.append(by_atheris(name, share, seed))
            else:
                place = Path(folder) / name
                place.mkdir()
                rows.append(by_hypothesis(TARGETS[name](place), share, seed))
    return rows


def memory_folder() -> str | None:
    """Where files cost no disk, on Linux."""
    return "/dev/shm" if os.path.isdir("/dev/shm") and os.access("/dev/shm", os.W_OK) else None  # noqa: PTH112


def main() -> int:
    """Prints the table and the finds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", nargs="+", default=(), choices=tuple(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="hypothesis", choices=("hypothesis", "atheris"))
    options = parser.parse_args()
    if options.engine == "atheris" and find_spec("atheris") is None:
        print("atheris is not installed (pip install atheris); hypothesis alone is used", file=sys.stderr)
        options.engine = "hypothesis"
    rows = run(options.minutes, tuple(options.only), options.seed, options.engine)
    print(f"{'reader':14}{'engine':12}{'tried':>10}{'refused':>10}{'finds':>7}{'time':>9}")
    for row in rows:
        print(f"{row.target:14}{row.engine:12}{row.tried:10,}{row.refused:10,}{len(row.finds):7}{row.seconds:8.1f}s")
    for row in rows:
        for find in row.finds:
            print(f"\n{row.target}: {find}")
    return 1 if any(row.finds for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
