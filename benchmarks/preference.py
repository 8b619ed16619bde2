"""DPO on pairs: where it begins, and how margin and log-probabilities go from there.

    python benchmarks/preference.py runs/NAME [--pairs 64] [--epochs 5] [--objective dpo] [--lr 1e-3]

The pairs are made here: a word twice, of which the answer in capitals is chosen and the one in small letters rejected.
A quarter of the batches is held out. The first line must say loss 0.6931 and margin 0 exactly.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from about import print_about

from chainrule.checkpoint import open_model
from chainrule.finetune import (
    OBJECTIVES,
    Preference,
    TokenPair,
    batch_key,
    check_first,
    pair_batches,
    pair_logps,
    preference_row,
    reference_logps,
)
from chainrule.model import LoraSettings, add_lora
from chainrule.verdict import preference_words

WORDS = (
    "sea",
    "sun",
    "bread",
    "river",
    "stone",
    "wind",
    "house",
    "field",
    "night",
    "bird",
    "tree",
    "fire",
    "water",
    "road",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--objective", default="dpo", choices=OBJECTIVES)
    parser.add_argument("--lr", type=float, default=1e-3)
    options = parser.parse_args()
    print_about()
    opened = open_model(options.model)
    model, words = opened.model, opened.tokenizer
    pairs = []
    for number in range(options.pairs):
        one, other = WORDS[number % len(WORDS)], WORDS[number // len(WORDS) % len(WORDS)]
        prompt, answer = words.encode(f"{one} and {other}:"), f" {other} and {one}"
        chosen, rejected = ((*words.encode(text), words.end_of_text) for text in (answer.upper(), answer))
        pairs.append(TokenPair(tuple(prompt), chosen, rejected))
    batches = pair_batches(pairs, 8, opened.config.context_length)
    held_out, learnt = batches[::4], [batch for place, batch in enumerate(batches) if place % 4]
    add_lora(model, LoraSettings())
    with tempfile.TemporaryDirectory() as folder:
        start = reference_logps(model, batches, Path(folder) / "reference.safetensors", "")
    goal = Preference(model, OBJECTIVES[options.objective](), start)
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], options.lr)
    for batch in batches:
        check_first(goal.objective, pair_logps(model, batch), start[batch_key(batch)])
    for epoch in range(options.epochs + 1):
        for batch in learnt if epoch else ():
            optimizer.zero_grad()
            goal.loss(batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        batch = held_out[0]
        policy, reference = pair_logps(model, batch), start[batch_key(batch)]
        loss = float(goal.objective.loss(policy, reference).detach())
        print(preference_words(preference_row(epoch * len(learnt), loss, policy, reference)), flush=True)


if __name__ == "__main__":
    main()
