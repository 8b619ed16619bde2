"""The only door to `gigatoken`, an optional accelerator (extra `fast`): used where it answers as the reference does.

Its training prints to standard output and cannot be interrupted, so it runs in a process of its own.
"""

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from chainrule.tokenizer.document import Document, Merge, canonical, without_control_tokens

# Not a part of any UTF-8 text, so it separates documents whatever they say.
SEPARATOR = b"\xff\xfe\xff"
CHILD = "from chainrule.tokenizer.fast import answer; answer()"
Answer = TypeVar("Answer")


class FastFailedError(Exception):
    """The accelerator is absent, failed or disagreed; the message says which. Never leaves this room."""


def name() -> str:
    """The accelerator's name and version; raises FastFailedError when it is not installed."""
    if importlib.util.find_spec("gigatoken") is None:
        raise FastFailedError("gigatoken is not installed")
    return f"gigatoken {importlib.metadata.version('gigatoken')}"


class Fast:
    """Text to ids with gigatoken; raises FastFailedError whenever it cannot."""

    def __init__(self, document: Document) -> None:
        name()
        self._engine = _guarded(lambda: _load(canonical(without_control_tokens(document)).decode()))

    def encode(self, text: str) -> NDArray[np.uint32]:
        """The ids of a text that holds no lone surrogates."""
        return _guarded(lambda: np.asarray(self._engine.encode(text), dtype=np.uint32))


def learn(corpora: Sequence[Sequence[bytes]], n_entries: int, limit_seconds: float) -> list[list[Merge]]:
    """The merges of each corpus, a list of UTF-8 documents; FastFailedError also when it takes too long."""
    name()
    joined = [SEPARATOR.join(documents) for documents in corpora]
    question = json.dumps([n_entries, *map(len, joined)]).encode() + b"\n" + b"".join(joined)
    command = [sys.executable, "-c", CHILD]
    try:
        child = subprocess.run(command, input=question, capture_output=True, timeout=limit_seconds, check=True)  # noqa: S603
        learnt = json.loads(child.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as fault:
        raise FastFailedError(f"gigatoken's training failed with {type(fault).__name__}") from fault
    return [[(bytes.fromhex(left), bytes.fromhex(right)) for left, right in merges] for merges in learnt]


def answer() -> None:
    """The child's side of `learn`: reads the question from standard input, writes the merges to standard output."""
    import gigatoken

    output = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    n_entries, *sizes = json.loads(sys.stdin.buffer.readline())
    learnt = []
    for n_bytes in sizes:
        corpus = sys.stdin.buffer.read(n_bytes)
        _, merges = gigatoken.train_bpe(corpus, n_entries, [], tie_breaking="huggingface", separator=SEPARATOR)
        learnt.append([(left.hex(), right.hex()) for left, right in merges])
    with os.fdopen(output, "w") as stream:
        json.dump(learnt, stream)


def _load(content: str) -> Any:
    import gigatoken

    return gigatoken.Tokenizer.from_json(content)


def _guarded(call: Callable[[], Answer]) -> Answer:
    """`call()`, with every failure as FastFailedError: a panic in Rust derives from BaseException alone."""
    try:
        return call()
    except (KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException as fault:
        raise FastFailedError(f"gigatoken failed: {fault}") from fault
