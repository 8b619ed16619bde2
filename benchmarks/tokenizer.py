"""Both engines of the tokenizer, side by side: python benchmarks/tokenizer.py [FOLDER_OR_FILE] [--vocab-size 4096].

Without a path the text is the standard library of the running interpreter. The engines take turns, each round starts
cold (a new tokenizer, nothing remembered), and the median of the rounds is printed.
"""

import argparse
import os
import platform
import statistics
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tokenizers

from chainrule.tokenizer import fast, reference
from chainrule.tokenizer.document import Document, canonical, document_of
from chainrule.tokenizer.fast import Fast, FastFailedError
from chainrule.tokenizer.reference import Reference
from chainrule.tokenizer.sample import bounded_sample

SUFFIXES = {".py", ".txt", ".md", ".rst"}
LEFT_OUT = {"test", "tests", "idle_test", "lib2to3", "encodings", "site-packages", "dist-packages"}


def read(path: Path) -> list[str]:
    """The UTF-8 texts of a file, or of the .py, .txt, .md and .rst files below a folder."""
    found = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.suffix in SUFFIXES]
    kept = [file for file in found if file.is_file() and LEFT_OUT.isdisjoint(file.relative_to(path).parts)]
    return [file.read_bytes().decode(errors="replace") for file in kept]


def processor() -> str:
    """The processor's name as Linux gives it, else what Python knows."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.is_file()
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def used_seconds() -> tuple[float, float]:
    """Seconds on the clock, and processor seconds of this process and its finished children."""
    times = os.times()
    return times.elapsed, times.user + times.system + times.children_user + times.children_system


def compare(title: str, n_bytes: int, rounds: int, contenders: dict[str, Callable[[], object]]) -> None:
    """Runs the contenders in turns and prints the median of each, on the clock and on the processor."""
    used: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            start = used_seconds()
            run()
            used[name].append(tuple(end - begin for end, begin in zip(used_seconds(), start, strict=True)))  # type: ignore[arg-type]
    print(f"\n{title}, medians of {rounds} rounds")
    for name, seconds in used.items():
        wall, cpu = (statistics.median(column) for column in zip(*seconds, strict=True))
        print(
            f"  {name:32} {wall:7.2f} s {n_bytes / wall / 1e6:8.1f} MB/s   {n_bytes / cpu / 1e6:7.1f} MB per CPU second"
        )


def encode_plainly(document: Document, texts: Sequence[str]) -> None:
    """What `tokenizers` does by itself, without our memory of words."""
    engine = tokenizers.Tokenizer.from_str(canonical(document).decode())
    for start in range(0, len(texts), 16):
        for encoding in engine.encode_batch_fast(texts[start : start + 16]):
            np.array(encoding.ids, dtype=np.uint32)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=Path(sysconfig.get_paths()["stdlib"]))
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args(arguments)

    texts = read(asked.path)
    sample = bounded_sample(texts)
    n_bytes = sum(len(text.encode()) for text in texts)
    n_sample = sum(map(len, sample))
    system = f"{platform.system()}, Python {platform.python_version()}"
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {system}")
    print(f"{asked.path}: {len(texts)} texts, {n_bytes / 1e6:.1f} MB; {n_sample / 1e6:.1f} MB of them to learn from")

    merges = reference.learn((piece.decode() for piece in sample), asked.vocab_size - 1)
    document = document_of(merges)
    training: dict[str, Callable[[], object]] = {
        reference.NAME: lambda: reference.learn((piece.decode() for piece in sample), asked.vocab_size - 1)
    }
    encoding: dict[str, Callable[[], object]] = {
        reference.NAME: lambda: encode_plainly(document, texts),
        f"{reference.NAME} and our words": lambda: Reference(document).encode_batch(texts),
    }
    try:
        engine = fast.name()
        agree(sample, texts, asked.vocab_size - 1, merges)
        training[engine] = lambda: fast.learn([(sample, asked.vocab_size - 1)], 600)
        encoding[engine] = lambda: [encode(text) for encode in [Fast(document).encode] for text in texts]
    except FastFailedError as reason:
        print(f"without the accelerator: {reason}")
    compare(f"learning {asked.vocab_size:,} entries", n_sample, asked.rounds, training)
    compare("encoding", n_bytes, asked.rounds, encoding)


def agree(sample: Sequence[bytes], texts: Sequence[str], n_entries: int, merges: Sequence[tuple[bytes, bytes]]) -> None:
    """Says whether the engines make the same merges and the same ids of all of the text."""
    same = fast.learn([(sample, n_entries)], 600)[0] == list(merges)
    engine, expected = Fast(document_of(merges)), Reference(document_of(merges))
    alike = sum(
        np.array_equal(engine.encode(text), ids) for text, ids in zip(texts, expected.encode_batch(texts), strict=True)
    )
    print(f"same merges: {'yes' if same else 'NO'}; same ids: {alike} of {len(texts)} texts")


if __name__ == "__main__":
    main(sys.argv[1:])
