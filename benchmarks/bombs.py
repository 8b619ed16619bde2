"""What small files that promise to be huge cost: processor time and memory of the real command, bomb by bomb.

    python benchmarks/bombs.py [NAME ...] [--list]

Each bomb is made in a temporary folder and given to the command in a process forked from one that has loaded the
program, so that seconds are those of the work and not of importing. Memory is the largest that the process or one of
its workers held, the program's own (with torch some 300 MB) included. "!" stands before what costs more than two
seconds or 500 MB, is no sentence of ours, or ended by a signal. A file that is as large on the disk as in memory is no
bomb: such stand in the table, too, for their memory.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path

# Before torch is loaded: one thread, so that a fork loses none.
os.environ["OMP_NUM_THREADS"] = "1"

from about import print_about
from bomb_files import Bomb
from bomb_table import BOMBS

from proof.child import start, warm

MOST_SECONDS, MOST_BYTES = 2.0, 500_000_000
# What goes on without end is stopped here.
STOPPED_AFTER, STOPPED_AT = 15, 8 << 30


def main() -> None:
    """Prints a row for each bomb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of names; all without")
    parser.add_argument("--list", action="store_true", help="only the names")
    given = parser.parse_args()
    chosen = {name: bomb for name, bomb in BOMBS.items() if not given.names or any(one in name for one in given.names)}
    if given.list:
        print("\n".join(chosen))
        return
    print_about()
    warm()
    print("  | bomb | on disk | seconds | MB | what was said |\n  |---|--:|--:|--:|---|")
    for name, bomb in chosen.items():
        _row(name, bomb)


def _row(name: str, bomb: Bomb) -> None:
    with tempfile.TemporaryDirectory(prefix="bomb-") as folder:
        place = Path(folder)
        _forked(lambda: (place / "words.json").write_text(json.dumps(bomb()(place / name.partition(" ")[0]))))
        words = json.loads((place / "words.json").read_text())
        file = place / name.partition(" ")[0]
        size = sum(one.stat().st_size for one in ([file] if file.is_file() else file.iterdir()))
        began = start(words, place, before=_limits)
        _, status, used = os.wait4(began.pid, 0)
        said = (began.said / "err").read_text("utf-8", "replace").strip().splitlines()
    code, seconds, n_bytes = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
    told = next((line for line in reversed(said) if line.startswith("chainrule: ")), said[-1] if said else "")
    ours = code == 0 or (code == 2 and told.startswith("chainrule: ") and "Traceback" not in " ".join(said))
    mark = " " if ours and seconds <= MOST_SECONDS and n_bytes <= MOST_BYTES else "!"
    told = told.replace(str(place), "").removeprefix("chainrule: ")[:150]
    print(f"{mark} | {name} | {size:,} | {seconds:.1f} | {n_bytes / 1e6:,.0f} | {code}: {told} |", flush=True)


def _limits() -> None:
    """Of the process; a line to read on its standard input."""
    reading, writing = os.pipe()
    os.write(writing, b"a\n")
    os.close(writing)
    os.dup2(reading, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (STOPPED_AFTER, STOPPED_AFTER))
    resource.setrlimit(resource.RLIMIT_AS, (STOPPED_AT, STOPPED_AT))


def _forked(work: object) -> None:
    """Made in a process of its own: what that takes is not the program's."""
    child = os.fork()
    if not child:
        try:
            work()  # type: ignore[operator]
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        sys.exit("a bomb could not be made")


if __name__ == "__main__":
    main()
