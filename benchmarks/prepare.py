"""Prepares a large text and prints speed, peak memory of all processes, documents and duplicates.

    python benchmarks/prepare.py --megabytes 1000 [--corpus PATH] [--layout files|single|jsonl] [--workers N]

The text is real paragraphs of the corpus (default: the running interpreter's standard library), recombined into new
documents; two in a hundred are exact copies of an earlier one and two more differ from one in a single paragraph.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from about import print_about

from chainrule.config import TextConfig
from chainrule.data import survey

BLOCK_LINES = 12
BLOCKS_OF_A_DOCUMENT = (4, 40)
COPIES, NEAR_COPIES = 0.02, 0.02
PACKAGES = ("pyarrow", "safetensors")
# A process of its own: this one has imported torch and holds the corpus.
MEASURED = Path(__file__).with_name("prepare_measured.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--corpus", default="python")
    parser.add_argument("--layout", choices=["files", "single", "jsonl"], default="files")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--folder", type=Path, help="where to work; default: the system's temporary folder")
    given = parser.parse_args()
    print_about()
    print(f"also: {', '.join(f'{name} {version(name)}' for name in PACKAGES)}")
    folder = Path(tempfile.mkdtemp(prefix="chainrule-prepare-", dir=given.folder))
    try:
        blocks = paragraphs(given.corpus, folder / "corpus")
        write_text(folder / "text", blocks, given.megabytes * 1e6, given.layout)
        print_figures(*measure(folder, given.workers, given.vocab_size), given.layout)
    finally:
        shutil.rmtree(folder)


def paragraphs(corpus: str, folder: Path) -> list[str]:
    """The corpus in blocks of a dozen lines."""
    blocks = []
    for text in survey(TextConfig(paths=(corpus,)), folder).texts("train"):
        lines = text.splitlines(keepends=True)
        blocks += ["".join(lines[start : start + BLOCK_LINES]) for start in range(0, len(lines), BLOCK_LINES)]
    return blocks


def documents(blocks: list[str], n_bytes: float) -> Iterator[str]:
    """New documents until they have `n_bytes`."""
    chooser = random.Random(0)
    recent: list[list[str]] = []
    written = 0
    while written < n_bytes:
        draw = chooser.random()
        if recent and draw < COPIES + NEAR_COPIES:
            document = list(chooser.choice(recent))
            if draw < NEAR_COPIES and len(document) > 20:
                document[chooser.randrange(len(document))] = chooser.choice(blocks)
        else:
            document = chooser.choices(blocks, k=chooser.randint(*BLOCKS_OF_A_DOCUMENT))
            recent = [*recent[-99:], document]
        text = "".join(document)
        written += len(text.encode())
        yield text


def write_text(folder: Path, blocks: list[str], n_bytes: float, layout: str) -> None:
    """The text as one file for each document, as a single file, or as rows."""
    folder.mkdir()
    if layout == "files":
        for index, text in enumerate(documents(blocks, n_bytes)):
            path = folder / f"{index // 1000:04d}" / f"{index:07d}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return
    name = "text.jsonl" if layout == "jsonl" else "text.txt"
    with (folder / name).open("w", encoding="utf-8") as stream:
        for text in documents(blocks, n_bytes):
            stream.write(json.dumps({"text": text}) + "\n" if layout == "jsonl" else text)


def measure(folder: Path, workers: int, vocab_size: int) -> tuple[dict[str, Any], int]:
    """The figures of a preparation, and the peak of the resident memory of its process and their children."""
    command = [sys.executable, str(MEASURED), str(folder), str(workers), str(vocab_size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watched = Watched(process.pid)
        watched.start()
        answer, _ = process.communicate()
        watched.ended = True
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(answer), watched.peak_bytes


class Watched(threading.Thread):
    """Adds up the resident memory of a process and its children, fifty times a second (Linux).

    Pages that they share are counted for each, so the true sum is smaller.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_bytes, self.ended = pid, 0, False

    def run(self) -> None:
        while not self.ended and Path("/proc").is_dir():
            self.peak_bytes = max(self.peak_bytes, _resident_bytes(self.pid))
            time.sleep(0.02)


def _resident_bytes(pid: int) -> int:
    try:
        own = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError):
        return 0
    return own + sum(_resident_bytes(int(child)) for child in children)


def print_figures(figures: dict[str, Any], peak_bytes: int, layout: str) -> None:
    seconds, report = figures["seconds"], figures["report"]
    n_bytes = report["bytes"]
    seconds["all"] = [sum(column) for column in zip(*seconds.values(), strict=True)]
    print(f"text        {n_bytes / 1e6:,.0f} MB kept of {report['read_documents']:,} documents (layout: {layout})")
    print(f"removed     {report['duplicates']:,} duplicates, {report['near_duplicates']:,} near duplicates")
    print(f"tokens      {sum(report['tokens'].values()):,} in {figures['shards']} shards")
    for phase, (wall, cpu) in seconds.items():
        print(f"{phase:<11} {wall:7.2f} s{n_bytes / 1e6 / wall:9.1f} MB/s{cpu:9.2f} CPU s")
    print(f"peak memory {peak_bytes / 2**20:,.0f} MiB, all processes together")


if __name__ == "__main__":
    main()
