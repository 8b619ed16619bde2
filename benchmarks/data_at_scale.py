"""Prepares gigabytes of books with variations, counts what was planted in them and found, and kills workers on the way.

    python benchmarks/data_at_scale.py --gigabytes 10 --corpus BOOKS [--workers 2] [--executor processes|local]
        [--filters] [--same 1,2,4] [--kill] [--folder FOLDER]

The text is chapters of the corpus as .jsonl in files of about 100 MB. Beyond the corpus' own size each round takes the
chapters again with half of their sentences drawn from others, so that no two rounds are near duplicates. Planted are
exact copies, near copies (three words in a hundred changed), chapters with a question of a set that must not be trained
on, chapters in German and menus of web pages; of each one in a hundred. --filters switches on the rules, the language,
masking and decontamination. --same prepares with so many workers each and compares the shards; --kill kills a worker
every ten seconds and starts again until it is done.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from about import print_about

from chainrule.config import TextConfig
from chainrule.data import Survey, executor_of, survey, write_shards
from chainrule.tokenizer import train_bpe

FILE_BYTES, CHAPTER_BYTES = 100e6, 6_000
PLANTED = ("copy", "near copy", "contaminated", "german", "menu")
EACH = 0.01
# States of the survey's table up to this are of documents that are kept.
KEPT = 2
QUESTION = (
    "in which year did the lighthouse keeper of the northern islands count all of his forty lamps again before dawn"
)
GERMAN = (
    "Und so ging der Mann mit dem alten Hund durch die Stadt, als ob es nicht schon zu spät für ihn wäre, und sagte "
)
MENU = "Home\nAbout us\nContact\nShop\nBasket\nLogin\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--corpus", default="python")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--executor", default="processes", choices=["processes", "local"])
    parser.add_argument("--filters", action="store_true")
    parser.add_argument("--same", default="", help="numbers of workers whose shards are compared")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to work; default: the system's temporary folder")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.prepare:
        print(json.dumps(prepare(given.prepare, given.workers, given.executor, filters=given.filters)))
        return
    print_about()
    folder = Path(tempfile.mkdtemp(prefix="chainrule-scale-", dir=given.folder))
    try:
        planted, n_bytes = make(folder, given.corpus, given.gigabytes * 1e9)
        figures, peak_bytes = measured(folder, given.workers, given)
        tell(figures, planted, n_bytes, peak_bytes)
        shards = sums(folder / "data")
        for workers in filter(None, given.same.split(",")):
            shutil.rmtree(folder / "data")
            measured(folder, int(workers), given)
            print(f"shards with {workers} workers: {'equal' if sums(folder / 'data') == shards else 'DIFFERENT'}")
        if given.kill:
            shutil.rmtree(folder / "data")
            n_killed = killed(folder, given)
            print(f"shards after {n_killed} kills: {'equal' if sums(folder / 'data') == shards else 'DIFFERENT'}")
    finally:
        shutil.rmtree(folder)


def make(folder: Path, corpus: str, n_bytes: float) -> tuple[Counter[str], int]:
    """Writes the text; returns how many documents of each kind were planted, and the bytes of all text."""
    (folder / "text").mkdir()
    (folder / "set.jsonl").write_text(json.dumps({"question": QUESTION}) + "\n")
    found = survey(TextConfig(paths=(corpus,)), folder / "corpus")
    chapters = [chapter for text in found.texts("train") for chapter in cut(text)]
    planted, written = Counter[str](), 0
    for kind, text in documents(chapters, random.Random(0)):
        planted[kind] += 1
        with (folder / "text" / f"{int(written // FILE_BYTES):05d}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"text": text, "kind": kind}) + "\n")
        written += len(text.encode())
        if written >= n_bytes:
            return planted, written
    raise AssertionError("documents do not end")


def cut(text: str) -> Iterator[str]:
    """Chapters of about CHAPTER_BYTES, at ends of paragraphs."""
    waiting, size = list[str](), 0
    for paragraph in text.split("\n\n"):
        waiting.append(paragraph)
        size += len(paragraph)
        if size >= CHAPTER_BYTES:
            yield "\n\n".join(waiting)
            waiting, size = [], 0


def documents(chapters: list[str], chooser: random.Random) -> Iterator[tuple[str, str]]:
    """Chapters without end, each with what it is."""
    recent = list[str]()
    for n_round in range(1_000_000):
        for chapter in chapters:
            kind = chooser.choice(PLANTED) if recent and chooser.random() < EACH * len(PLANTED) else "chapter"
            text = planted_text(kind, varied(chapter, chapters, chooser) if n_round else chapter, recent, chooser)
            yield kind, text
            if kind == "chapter":
                recent = [*recent[-199:], text]


def varied(chapter: str, chapters: list[str], chooser: random.Random) -> str:
    """Half of the sentences are others."""
    sentences, others = chapter.split(". "), chooser.choice(chapters).split(". ")
    chooser.shuffle(others)
    for place, other in zip(chooser.sample(range(len(sentences)), len(sentences) // 2), others, strict=False):
        sentences[place] = other
    return ". ".join(sentences)


def planted_text(kind: str, text: str, recent: list[str], chooser: random.Random) -> str:
    if kind == "copy":
        return chooser.choice(recent)
    if kind == "near copy":
        words = chooser.choice(recent).split(" ")
        for place in chooser.sample(range(len(words)), max(1, len(words) // 100)):
            words[place] = f"w{chooser.randrange(10**6)}"
        return " ".join(words)
    if kind == "contaminated":
        return f"{text}\n\n{QUESTION}.\n"
    if kind == "german":
        return "".join(f"{' '.join(drawn(chooser, GERMAN.split()))}.\n" for _ in range(40))
    return "".join(f"{' '.join(drawn(chooser, MENU.split()))}\n" for _ in range(100)) if kind == "menu" else text


def drawn(chooser: random.Random, of: list[str]) -> list[str]:
    """Words in an order of their own, one in four of no language, so that two such documents are not alike."""
    return [f"w{chooser.randrange(10**6)}" if chooser.random() < 0.25 else chooser.choice(of) for _ in range(4)]


def prepare(folder: Path, workers: int, executor: str, *, filters: bool) -> dict[str, Any]:
    """What is measured, in a process of its own: seconds of the clock and of processors by phase, and the report."""
    curated: dict[str, Any] = {
        "filters": ("gopher-quality", "gopher-repetition", "fineweb"),
        "languages": ("en",),
        "pii": "mask",
        "decontaminate": (str(folder / "set.jsonl"),),
    }
    config = TextConfig(paths=(str(folder / "text"),), **(curated if filters else {}))
    how = executor_of(executor, workers, ())
    seconds, start = dict[str, tuple[float, float]](), (time.perf_counter(), sum(os.times()[:4]))

    def lap(phase: str) -> None:
        nonlocal start
        now = time.perf_counter(), sum(os.times()[:4])
        seconds[phase], start = (now[0] - start[0], now[1] - start[1]), now

    found = survey(config, folder / "data", workers=workers, executor=how)
    lap("survey")
    tokenizer = train_bpe(list(found.sample("train", 8 << 20)), 4096)
    lap("tokenizer")
    manifest = write_shards(found, tokenizer, folder / "data", context_length=256, workers=workers, executor=how)
    lap("shards")
    return {
        "seconds": seconds,
        "cpu_seconds": sum(os.times()[:4]),
        "report": manifest.report.row(),
        "gone": gone(found),
    }


def gone(found: Survey) -> dict[str, int]:
    """How many documents of each kind were removed: the table has them in the order of the rows."""
    kinds = (json.loads(line)["kind"] for file in found.files for line in Path(file.path).read_bytes().splitlines())
    return Counter(kind for kind, state in zip(kinds, found.states.tolist(), strict=True) if state > KEPT)


def command(folder: Path, workers: int, given: argparse.Namespace) -> list[str]:
    filters = ["--filters"] if given.filters else []
    return [
        sys.executable,
        __file__,
        "--prepare",
        str(folder),
        "--workers",
        str(workers),
        "--executor",
        given.executor,
        *filters,
    ]


def measured(folder: Path, workers: int, given: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """The figures of a preparation, and the largest sum of resident memory of its processes."""
    with subprocess.Popen(command(folder, workers, given), stdout=subprocess.PIPE, text=True) as process:
        peak, ended = [0], threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                peak[0] = max(peak[0], sum(map(proportional_bytes, family(process.pid))))

        watcher = threading.Thread(target=watch)
        watcher.start()
        answer, _ = process.communicate()
        ended.set()
        watcher.join()
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(answer), peak[0]


def family(process: int) -> list[int]:
    """The process and all below it (Linux)."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return []
    return [process, *(one for child in children for one in family(int(child)))]


def proportional_bytes(process: int) -> int:
    """Resident memory; pages that processes share count for each in part."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return 0


def killed(folder: Path, given: argparse.Namespace) -> int:
    """Prepares while a worker is killed every ten seconds; started again until it ends well."""
    n_killed = 0
    while True:
        with subprocess.Popen(
            command(folder, given.workers, given), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while process.poll() is None:
                end = time.monotonic() + 10
                while process.poll() is None and time.monotonic() < end:
                    time.sleep(0.1)
                workers = family(process.pid)[1:]
                if process.poll() is None and workers and n_killed < 20:
                    os.kill(workers[-1], signal.SIGKILL)
                    n_killed += 1
        if process.returncode == 0:
            return n_killed


def sums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.safetensors"))}


def tell(figures: dict[str, Any], planted: Counter[str], n_bytes: int, peak_bytes: int) -> None:
    report, seconds = figures["report"], figures["seconds"]
    print(f"text      {n_bytes / 1e9:.2f} GB, {report['read_documents']:,} documents")
    seconds["all"] = [sum(column) for column in zip(*seconds.values(), strict=True)]
    for phase, (spent, cpu) in seconds.items():
        print(f"{phase:<9} {spent:8.1f} s {n_bytes / 1e6 / spent:8.1f} MB/s {cpu:9.1f} s of processor")
    print(f"memory    {peak_bytes / 2**20:,.0f} MiB at most, all processes together (shared pages in part)")
    for kind in (*PLANTED, "chapter"):
        print(f"gone      {figures['gone'].get(kind, 0):,} of {planted[kind]:,} × {kind}")
    for rule, one in report["removals"].items():
        print(f"removed   {one['documents']:,} × {rule}")


if __name__ == "__main__":
    main()
