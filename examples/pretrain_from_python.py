"""From text to a model that writes, in Python: settings, a run, its figures, a sample.

python examples/pretrain_from_python.py my_texts/
python examples/pretrain_from_python.py python --steps 400 --run runs/from-python
"""

import argparse
from pathlib import Path

from chainrule.checkpoint import open_model
from chainrule.config import Layer
from chainrule.generate import sampling_rules, stream
from chainrule.run import EvalRow, Record, Sample
from chainrule.train import pretrain
from chainrule.verdict import known_baselines

# A tiny GPT in the words of the field, trained in less than a minute. Leave "model" and "steps" out and give pretrain()
# the `minutes` that you have: then both are chosen to fit.
TINY = {
    "model": {"vocab_size": 512, "context_length": 64, "emb_dim": 64, "n_heads": 4, "n_layers": 2, "drop_rate": 0.0},
    "optimizer": {"lr": 3e-3},
}


def show(record: Record) -> None:
    """Prints what is worth a line; the run folder has all of it."""
    match record:
        case EvalRow():
            print(f"step {record.step:>5}: {record.val_bits_per_byte:.3f} bits per byte on held-out text")
        case Sample():
            print(f"            {record.prompt + record.text!r}")


def main(paths: list[str], run: Path, steps: int, prompt: str) -> None:
    """Trains on `paths` for `steps` updates of 2,048 tokens, then writes after `prompt`."""
    training = {
        "steps": steps,
        "batch_tokens": 2048,
        "eval_every": max(1, steps // 4),
        "sample_every": max(1, steps // 4),
        "prompts": [prompt],
    }
    layers = [Layer("tiny", TINY), Layer("example", {"text": {"paths": paths}, "training": training})]
    summary = pretrain(layers, run, watch=show)
    baselines = ", ".join(f"{words} {bits:.3f}" for words, bits in known_baselines(summary.baselines).items())
    print(f"{summary.parameters:,} parameters: {summary.val_bits_per_byte:.3f} bits per byte ({baselines})")

    opened = open_model(run)
    print(prompt, end="")
    for piece in stream(
        opened.model, opened.tokenizer, prompt, rules=sampling_rules(temperature=0.8), max_new_tokens=80
    ):
        print(piece, end="", flush=True)
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", help="folders, files or globs of text")
    parser.add_argument("--run", type=Path, default=Path("runs/from-python"), help="where the run goes")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--prompt", default="The ")
    given = parser.parse_args()
    main(given.paths, given.run, given.steps, given.prompt)
