"""How soon a command answers: its help, and the first loss line of a training."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from chainrule.bench import characters
from chainrule.bench.asked import Asked
from chainrule.bench.commands import chainrule_command, run_command
from chainrule.bench.contest import Contest, Reading, Side
from chainrule.bench.process import surroundings
from chainrule.bench.sizes import SIZES


def starting(asked: Asked) -> Iterator[Contest]:
    """Seconds of wall time, each from the start of a process."""
    for words in (("--help",), ("pretrain", "--help")):
        title = " ".join(words)
        side = Side(f"chainrule {title}", "to its end", partial(_ours, asked, words, asked.folder, None))
        yield Contest(f"start: {title}", "s", [side], larger_is_better=False)
    sides = [
        Side("chainrule pretrain", "to the line of step 1, its text read and prepared", partial(_first_loss, asked))
    ]
    if asked.nanogpt:
        what = "to `iter 0`, its first evaluation before it (20 batches twice), its text prepared beforehand"
        sides.insert(0, Side("nanoGPT train.py", what, partial(_nanogpt, asked)))
    yield Contest("start: first loss line", "s", sides, larger_is_better=False)


def _ours(asked: Asked, words: Sequence[str], folder: Path, until: str | None) -> Reading:
    return run_command(chainrule_command(*words), surroundings(asked.threads), folder, until=until)


def _first_loss(asked: Asked) -> Reading:
    """NanoGPT's model of characters with AdamW."""
    size = SIZES["0.8M"]
    shape = {"emb-dim": size.emb_dim, "n-heads": size.n_heads, "n-layers": size.n_layers}
    flags: dict[str, object] = {
        f"--model.{key}": value for key, value in {**shape, "context-length": size.context_length}.items()
    }
    flags |= {"--vocabulary.kind": "chars", "--training.batch-tokens": size.batch * size.context_length}
    words = [word for pair in flags.items() for word in map(str, pair)]
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        return _ours(asked, ("pretrain", str(asked.text), *words), Path(folder), "loss")


def _nanogpt(asked: Asked) -> Reading:
    assert asked.nanogpt is not None
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        data = characters.written_for_nanogpt(asked.text, Path(folder) / "data")
        command = [sys.executable, "-u", *characters.documented_run(data, Path(folder) / "out")]
        return run_command(command, surroundings(asked.threads, peer=True), asked.nanogpt, until="iter 0:")
