"""Prepares a text in children that kill themselves at a chosen instant; run by test_interruption.py.

Arguments: texts, folder, and how many instants to try. Prints the number of instants that there are, then for each one
that was tried "equal" or the names of the files that differ from those of an uninterrupted preparation.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from chainrule.config import TextConfig
from chainrule.data import encoding, pieces, range_ends, recording, scan, survey, text, units, write_shards
from chainrule.tokenizer.train import byte_tokenizer

scan.JOURNAL_BYTES = 4000
recording.BATCH_BYTES = pieces.PIECE_BYTES = text.PIECE_BYTES = range_ends.PIECE_BYTES = 1000
# Some files are read in ranges, others some at a time; rows of some go through the disk.
units.DIVIDED_SHARE = 0
units.UNIT_BYTES, recording.SPOOL_BYTES, encoding.SPOOL_BYTES = 3000, 500, 2000


def prepare(texts: Path, folder: Path, instant: int) -> int:
    """Runs the preparation; SIGKILL at its `instant`-th event. Returns the number of events."""
    events = 0

    def event(*_given: object) -> None:
        nonlocal events
        events += 1
        if events == instant:
            os.kill(os.getpid(), signal.SIGKILL)

    def eventful(function):
        def counted(*given, **named):
            event()
            result = function(*given, **named)
            event()
            return result

        return counted

    # A kill does not lose what the system holds, and waiting for the disk at each of them would take most of the time.
    os.fsync = eventful(lambda handle: None)
    Path.replace = eventful(Path.replace)
    Path.unlink = eventful(Path.unlink)
    config = TextConfig(paths=(str(texts),), separator="==")
    found = survey(config, folder, workers=1, on_progress=event)
    write_shards(found, byte_tokenizer(), folder, context_length=16, workers=1, shard_bytes=15_000, on_progress=event)
    return events


def in_child(texts: Path, folder: Path, instant: int = 0) -> int:
    """The same in a forked child; returns the number of events, or -9 when it was killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(prepare(texts, folder, instant)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reader) as stream:
        answer = stream.read()
    if os.WIFSIGNALED(status):
        return -os.WTERMSIG(status)
    return int(answer)


def files(folder: Path) -> dict[str, bytes]:
    kept = [*folder.iterdir(), folder / "survey" / "documents.bin", folder / "survey" / "states.bin"]
    return {path.name: path.read_bytes() for path in kept if path.is_file()}


def main() -> None:
    texts, folder, n_tried = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    n_events = in_child(texts, folder / "straight")
    print(n_events)
    expected = files(folder / "straight")
    for trial in range(n_tried):
        place = folder / f"killed-{trial}"
        instant = 1 + trial * n_events // n_tried
        if in_child(texts, place, instant) != -signal.SIGKILL:
            sys.exit(f"not killed at {instant}")
        # A second kill soon after the first, then to the end.
        in_child(texts, place, 5)
        assert in_child(texts, place) > 0
        found = files(place)
        different = [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)]
        print(" ".join(different) or "equal", flush=True)
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
