"""One fine-tuning step with LoRA against peft and transformers: same weights, same adapter, same batch, in turns.

    python benchmarks/lora_step.py [--rows 4] [--length 256] [--rounds 5] [--rank 16] [--layers 30]

The model has the shape of SmolLM2-135M and random weights: neither speed nor equality depends on what they say. A step
is forward, backward and AdamW; the loss of both must be equal within 1e-5 at the first step and after the last.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from about import print_about

from chainrule.checkpoint import save_adapter, to_hugging_face
from chainrule.config import ModelConfig
from chainrule.model import GPT, LoraSettings, add_lora

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--layers", type=int, default=SMOLLM2["n_layers"])
    options = parser.parse_args()
    print_about()
    torch.manual_seed(0)
    model = GPT(ModelConfig(**{**SMOLLM2, "n_layers": options.layers}))
    base = dict(model.state_dict())
    ids = torch.randint(model.config.vocab_size, (options.rows, options.length + 1))
    with tempfile.TemporaryDirectory() as folder:
        add_lora(model, LoraSettings(options.rank))
        save_adapter(model, Path(folder) / "adapter")
        bare = GPT(model.config)
        bare.load_state_dict(base)
        other = theirs(bare, Path(folder) / "adapter")
        del bare
    sides = {
        "chainrule": stepping(model.train(), lambda: model.loss(ids[:, :-1], ids[:, 1:])),
        # Their own shift: the logits of all places but the last against the ids after them.
        "peft": stepping(other, lambda: other(input_ids=ids, labels=ids).loss),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    losses: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds + 1):
        for name, step in sides.items():
            start = time.perf_counter()
            losses[name].append(step())
            seconds[name].append(time.perf_counter() - start)
    n_tokens = options.rows * options.length
    for name, times in seconds.items():
        spread = [n_tokens / one for one in times[1:]]
        print(f"{name}: {statistics.median(spread):.0f} tokens/s ({min(spread):.0f} to {max(spread):.0f})", flush=True)
    ratios = [b / a for a, b in zip(seconds["chainrule"][1:], seconds["peft"][1:], strict=True)]
    print(f"{statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")
    for word, place in (("first", 0), ("last", -1)):
        one, two = losses["chainrule"][place], losses["peft"][place]
        print(f"loss of the {word} step: {one:.6f} and {two:.6f}, {abs(one - two):.1e} apart")


if __name__ == "__main__":
    main()
