"""A GPT under the lens, in Python: the ledger by module, one weight followed from the loss, all gradients verified.

python examples/lens_gpt.py                      (two layers, random weights)
python examples/lens_gpt.py runs/python-1        (a run of yours)
"""

import argparse
from pathlib import Path

import torch

from chainrule.checkpoint import open_model
from chainrule.config import ModelConfig
from chainrule.lens import Subject, ledger, render, verify
from chainrule.model import GPT

SHAPE = {"vocab_size": 64, "context_length": 16, "emb_dim": 32, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0}


def main(run: Path | None, weight: str, coordinate: tuple[int, ...] | None, seed: int) -> None:
    """Prints the three parts; without `coordinate` the element with the largest gradient is followed."""
    torch.manual_seed(seed)
    model = GPT(ModelConfig.model_validate(SHAPE)).eval() if run is None else open_model(run).model
    ids = torch.randint(0, model.config.vocab_size, (2, min(32, model.config.context_length) + 1))
    subject = Subject(str(run or "a GPT with random weights"), model.loss, (ids[:, :-1], ids[:, 1:]))
    tape = subject.record()
    book = ledger(tape, coordinate=(weight, coordinate))
    assert book.coordinate is not None
    print(render(book, title=subject.name), end="\n\n")
    print(render(book.coordinate), end="\n\n")
    print(verify(subject, coordinates=16).summary)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="a run folder, a checkpoint or a Hugging Face folder")
    parser.add_argument("--weight", default="blocks.0.attention.qkv")
    parser.add_argument("--coordinate", type=lambda text: tuple(map(int, text.split(","))), help="such as 3,7")
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
