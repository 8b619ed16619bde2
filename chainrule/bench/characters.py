"""A text of characters as nanoGPT's train.py reads it: the first nine tenths to learn from, the last tenth held out."""

import pickle
from pathlib import Path

import numpy as np

from chainrule.base import ConfigError

TRAIN_SHARE = 0.9
# README of nanoGPT, "I only have a macbook": a loss of 1.88.
GOAL = 1.88
DOCUMENTED = (
    *("train.py", "config/train_shakespeare_char.py", "--device=cpu", "--compile=False", "--eval_iters=20"),
    *("--log_interval=1", "--block_size=64", "--batch_size=12", "--n_layer=4", "--n_head=4", "--n_embd=128"),
    *("--max_iters=2000", "--lr_decay_iters=2000", "--dropout=0.0"),
)


def parts(text: Path) -> tuple[str, str]:
    """What is learnt from and what is held out."""
    try:
        whole = text.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"--text {text}: not read ({fault}); give a file of text in UTF-8") from fault
    cut = int(TRAIN_SHARE * len(whole))
    return whole[:cut], whole[cut:]


def letters_of(text: Path) -> list[str]:
    """The characters of the whole text in the order of their codes: nanoGPT's vocabulary."""
    return sorted(set("".join(parts(text))))


def written_for_nanogpt(text: Path, folder: Path) -> Path:
    """Writes train.bin, val.bin and meta.pkl of the text, and returns the folder."""
    folder.mkdir(parents=True)
    letters = letters_of(text)
    numbers = {letter: number for number, letter in enumerate(letters)}
    for name, part in zip(("train", "val"), parts(text), strict=True):
        np.array([numbers[letter] for letter in part], dtype=np.uint16).tofile(folder / f"{name}.bin")
    meta = {"vocab_size": len(letters), "itos": dict(enumerate(letters)), "stoi": numbers}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta))
    return folder


def documented_run(data: Path, out: Path, *, iterations: int = 2000) -> list[str]:
    """The words of its documented run on a CPU, on our files and into our folder."""
    words = [*DOCUMENTED, f"--dataset={data}", f"--out_dir={out}"]
    if iterations != 2000:
        words += [f"--max_iters={iterations}", f"--lr_decay_iters={iterations}", f"--eval_interval={iterations}"]
    return words
