"""One fine-tuning step with LoRA against peft and transformers: same weights, same adapter, same examples, in turns.

    python benchmarks/lora_step.py [--rows 16] [--rounds 5] [--rank 16] [--layers 30] [--full]

The model has the shape of SmolLM2-135M and random weights, and tokens are random: neither speed nor equality depends on
what they say. Examples are as long as paragraphs of this project's documentation have words; the last third of each is
the answer. chainrule packs them as `finetune` does; peft gets them padded to the longest, with a mask and labels, as
transformers' collator makes them. With --full every row has 256 tokens that all count: the step alone, without what
packing and leaving out unlearnt scores save. Float32 on both sides. A step is forward, backward and AdamW; the loss of
both must be equal within 1e-5 at the first step and after the last.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from about import print_about

from chainrule.checkpoint import save_adapter, to_hugging_face
from chainrule.config import ModelConfig
from chainrule.finetune.examples import Taught
from chainrule.finetune.packing import packed
from chainrule.model import GPT, Batch, LoraSettings, add_lora

SMOLLM2: dict[str, Any] = {
    **{"vocab_size": 49152, "context_length": 2048, "emb_dim": 576, "n_heads": 9, "n_kv_heads": 3, "n_layers": 30},
    **{"hidden_dim": 1536, "norm": "rmsnorm", "position": "rope", "activation": "swiglu", "bias": False},
    **{"rope_base": 100_000.0, "drop_rate": 0.0},
}


def theirs(model: GPT, adapter: Path) -> Any:
    """The same base in transformers with the same adapter by peft."""
    import peft
    import transformers

    settings, tensors = to_hugging_face(model.config, model.state_dict())
    config = transformers.AutoConfig.for_model(**settings)
    base = transformers.AutoModelForCausalLM.from_config(config)
    base.load_state_dict(tensors, strict=False)
    base.tie_weights()
    return peft.PeftModel.from_pretrained(base, adapter, is_trainable=True).train()


def stepping(model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], float]:
    """A step of that model, which returns the loss before it."""
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], 1e-3, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        found = loss()
        found.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(found.detach())

    return step


def examples(n_rows: int, vocab_size: int, *, full: bool) -> list[Taught]:
    """Random tokens of real lengths, of which the last third is learnt; or 256 of each, all learnt."""
    dice = np.random.default_rng(0)
    pages = sorted((Path(__file__).resolve().parents[1] / "docs").glob("*.md"))
    paragraphs = [len(part.split()) for page in pages for part in page.read_text().split("\n\n")]
    lengths = dice.choice([n for n in paragraphs if 12 <= n <= 256], n_rows)
    made = []
    for length in [257] * 4 if full else lengths.tolist():
        trained = np.arange(length) >= (1 if full else length * 2 // 3)
        made.append(Taught(dice.integers(vocab_size, size=length), trained, (length - 1,)))
    return made


def padded(rows: list[Taught]) -> dict[str, torch.Tensor]:
    """As transformers' collator for language models makes a batch: filled up, masked, labels of -100."""
    longest = max(map(len, rows))
    ids, mask = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    for row, one in enumerate(rows):
        ids[row, : len(one)], mask[row, : len(one)] = torch.from_numpy(one.ids), 1
        learnt = torch.from_numpy(one.trained)
        labels[row, : len(one)][learnt] = torch.from_numpy(one.ids)[learnt]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--layers", type=int, default=SMOLLM2["n_layers"])
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    print_about()
    torch.manual_seed(0)
    model = GPT(ModelConfig(**{**SMOLLM2, "n_layers": options.layers}))
    base = dict(model.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        add_lora(model, LoraSettings(options.rank))
        save_adapter(model, Path(folder) / "adapter")
        bare = GPT(model.config)
        bare.load_state_dict(base)
        other = theirs(bare, Path(folder) / "adapter")
        del bare
    rows = examples(options.rows, model.config.vocab_size, full=options.full)
    windows = packed(rows, max(256, max(map(len, rows)) - 1), 0)
    ours, batch = Batch.of(windows.windows(np.arange(len(windows)))), padded(rows)
    sides = {
        "chainrule": stepping(model.train(), lambda: model.loss(ours.inputs, ours.targets, ours.documents)),
        "peft": stepping(other, lambda: other(**batch).loss),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    losses: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds + 1):
        for name, step in sides.items():
            start = time.perf_counter()
            losses[name].append(step())
            seconds[name].append(time.perf_counter() - start)
    n_tokens = sum(len(one) - 1 for one in rows)
    shapes = {"chainrule": tuple(ours.inputs.shape), "peft": tuple(batch["input_ids"].shape)}
    print(
        f"{len(rows)} examples, {n_tokens:,} tokens of theirs, {sum(int(one.trained.sum()) for one in rows):,} learnt"
    )
    for name, times in seconds.items():
        spread = [n_tokens / one for one in times[1:]]
        said = f"{statistics.median(spread):.0f} tokens/s ({min(spread):.0f} to {max(spread):.0f})"
        print(f"{name}: {said}, as {shapes[name][0]} windows of {shapes[name][1]}", flush=True)
    ratios = [b / a for a, b in zip(seconds["chainrule"][1:], seconds["peft"][1:], strict=True)]
    print(f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")
    for word, place in (("first", 0), ("last", -1)):
        one, two = losses["chainrule"][place], losses["peft"][place]
        print(f"loss of the {word} step: {one:.6f} and {two:.6f}, {abs(one - two):.1e} apart")


if __name__ == "__main__":
    main()
