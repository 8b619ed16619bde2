"""Prepares a large text and prints speed, peak memory of all processes, documents and duplicates; or makes a text.

    python benchmarks/prepare.py --megabytes 1000 [--corpus PATH] [--layout files|single|jsonl] [--workers N]
    python benchmarks/prepare.py --files 1000000 --file-bytes 900
    python benchmarks/prepare.py --make FOLDER --megabytes 10000 --corpus BOOKS [--layout files|jsonl]

The text is real paragraphs of the corpus (default: the running interpreter's standard library), recombined into new
documents; two in a hundred are exact copies of an earlier one and two more differ from one in a single paragraph. With
--files they are so many short ones, in folders of a thousand. With --make the text stays: new books (books.py), each a
file of its own or a row in files of about 100 MB, for `chainrule prepare` and `chainrule pretrain` to read.
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
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from about import print_about
from books import books, read_corpus

from chainrule.config import TextConfig
from chainrule.data import survey

BLOCK_LINES = 12
BLOCKS_OF_A_DOCUMENT = (4, 40)
COPIES, NEAR_COPIES = 0.02, 0.02
ROWS_BYTES = 100e6
PACKAGES = ("pyarrow", "safetensors")
# A process of its own: this one has imported torch and holds the corpus.
MEASURED = Path(__file__).with_name("prepare_measured.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=1000)
    parser.add_argument("--corpus", default="python")
    parser.add_argument("--layout", choices=["files", "single", "jsonl"], default="files")
    parser.add_argument("--files", type=int, help="so many short documents instead of --megabytes")
    parser.add_argument("--file-bytes", type=int, default=900)
    parser.add_argument("--make", type=Path, help="only write books into this folder, which must not be there")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--folder", type=Path, help="where to work; default: the system's temporary folder")
    given = parser.parse_args()
    if not given.make:
        print_about()
        print(f"also: {', '.join(f'{name} {version(name)}' for name in PACKAGES)}")
    folder = Path(tempfile.mkdtemp(prefix="chainrule-prepare-", dir=given.folder))
    try:
        if given.make:
            make_books(given.make, corpus_text(given.corpus, folder / "corpus"), given.megabytes * 1e6, given.layout)
            return
        text = corpus_text(given.corpus, folder / "corpus")
        if given.files:
            write_files(folder / "text", short_documents(text, given.files, given.file_bytes))
        else:
            write_text(folder / "text", paragraphs(text), given.megabytes * 1e6, given.layout)
        print_figures(*measure(folder, given.workers, given.vocab_size), given.layout)
    finally:
        shutil.rmtree(folder)


def corpus_text(corpus: str, folder: Path) -> list[str]:
    """The texts of the corpus."""
    return list(survey(TextConfig(paths=(corpus,)), folder).texts("train"))


def paragraphs(texts: list[str]) -> list[str]:
    """The texts in blocks of a dozen lines."""
    blocks = []
    for text in texts:
        lines = text.splitlines(keepends=True)
        blocks += ["".join(lines[start : start + BLOCK_LINES]) for start in range(0, len(lines), BLOCK_LINES)]
    return blocks


def short_documents(texts: list[str], n: int, n_bytes: int) -> Iterator[str]:
    """So many documents of so many bytes (fewer where the last character would be cut), of lines drawn anew."""
    lines = [line for text in texts for line in text.splitlines(keepends=True) if line.strip()]
    chooser = random.Random(0)
    for _ in range(n):
        parts, size = [], 0
        while size < n_bytes:
            parts.append(chooser.choice(lines))
            size += len(parts[-1])
        yield "".join(parts).encode()[:n_bytes].decode(errors="ignore")


def make_books(folder: Path, texts: list[str], n_bytes: float, layout: str) -> None:
    """Books as files of their own, or as rows of files of ROWS_BYTES."""
    folder.mkdir(parents=True)
    corpus, written, made = read_corpus("".join(texts)), 0, 0
    start = time.process_time()
    for made, book in enumerate(books(corpus, n_bytes), start=1):
        name = f"{made:06d}.txt" if layout == "files" else f"{int(written // ROWS_BYTES):06d}.jsonl"
        with (folder / name).open("a", encoding="utf-8") as stream:
            stream.write(book if layout == "files" else json.dumps({"text": book}) + "\n")
        written += len(book.encode())
    print(f"made        {written / 1e6:,.0f} MB: {made:,} books, {time.process_time() - start:.1f} CPU s, in {folder}")


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
    if layout == "files":
        write_files(folder, documents(blocks, n_bytes))
        return
    folder.mkdir()
    name = "text.jsonl" if layout == "jsonl" else "text.txt"
    with (folder / name).open("w", encoding="utf-8") as stream:
        for text in documents(blocks, n_bytes):
            stream.write(json.dumps({"text": text}) + "\n" if layout == "jsonl" else text)


def write_files(folder: Path, texts: Iterable[str]) -> None:
    """One file for each text, in folders of a thousand."""
    for index, text in enumerate(texts):
        below = folder / f"{index // 1000:04d}"
        if index % 1000 == 0:
            below.mkdir(parents=True)
        (below / f"{index:07d}.txt").write_text(text, encoding="utf-8")


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
        each = f"{1e6 * cpu / report['read_documents']:9.1f} us of CPU a document"
        print(f"{phase:<11} {wall:7.2f} s{n_bytes / 1e6 / wall:9.1f} MB/s{cpu:9.2f} CPU s{each}")
    print(f"peak memory {peak_bytes / 2**20:,.0f} MiB, all processes together")


if __name__ == "__main__":
    main()
