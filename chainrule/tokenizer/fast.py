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


def learn(tasks: Sequence[tuple[Sequence[bytes], int]], limit_seconds: float) -> list[list[Merge]]:
    """The merges of each task: UTF-8 documents and a number of entries. FastFailedError also after the limit."""
    name()
    corpora = [SEPARATOR.join(documents) for documents, _ in tasks]
    sizes = [(len(corpus), n_entries) for corpus, (_, n_entries) in zip(corpora, tasks, strict=True)]
    question = b"".join([json.dumps(sizes).encode(), b"\n", *corpora])
    try:
        learnt = json.loads(_child(question, limit_seconds))
    except (OSError, subprocess.SubprocessError, ValueError) as fault:
        raise FastFailedError(f"gigatoken's training failed with {type(fault).__name__}") from fault
    return [[(bytes.fromhex(left), bytes.fromhex(right)) for left, right in merges] for merges in learnt]


def _child(question: bytes, limit_seconds: float) -> bytes:
    """What `answer` writes in a process that imports what this one imports, and nothing from the current folder."""
    seen = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-c", CHILD]
    child = subprocess.run(command, input=question, capture_output=True, timeout=limit_seconds, check=True, env=seen)  # noqa: S603
    return child.stdout


def answer() -> None:
    """The child's side of `learn`: reads the question from standard input, writes the merges to standard output."""
    import gigatoken

    output = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    learnt = []
    for n_bytes, n_entries in json.loads(sys.stdin.buffer.readline()):
        corpus = sys.stdin.buffer.read(n_bytes)
        _, merges = gigatoken.train_bpe(corpus, n_entries, [], tie_breaking="huggingface", separator=SEPARATOR)
        learnt.append([(left.hex(), right.hex()) for left, right in merges])
    with os.fdopen(output, "w", encoding="utf-8") as stream:
        json.dump(learnt, stream)


def _load(content: str) -> Any:
    import gigatoken

    return gigatoken.Tokenizer.from_json(content)


def _guarded(call: Callable[[], Answer]) -> Answer:
    """`call()`, with every failure as FastFailedError: a panic in Rust derives from BaseException alone.

    What else is no Exception asks for the end of the program, and is nobody's failure.
    """
    try:
        return call()
    except MemoryError:
        raise
    except BaseException as fault:
        if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
            raise
        raise FastFailedError(f"gigatoken failed: {fault}") from fault
