"""Tokens a second while GPT-2 124M writes greedily in float32: ours, and transformers' generate."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import torch

from chainrule.bench.asked import Asked
from chainrule.bench.contest import Contest, Reading, Side
from chainrule.bench.process import read_side
from chainrule.bench.transformers_peer import their_gpt2
from chainrule.checkpoint import to_hugging_face
from chainrule.config import ModelConfig
from chainrule.generate import Decoder, Temperature
from chainrule.model import GPT

PROMPT, WARM = 16, 3
# Tokens of a row that are timed, by rows.
TOKENS, SHORT_TOKENS = {1: 96, 32: 32}, {1: 8, 32: 4}


def decoding(asked: Asked) -> Iterator[Contest]:
    """One contest for each number of rows. Weights are random and the same: a speed does not depend on them."""
    for batch, n_tokens in (SHORT_TOKENS if asked.short else TOKENS).items():
        told = {"batch": batch, "n_tokens": n_tokens}
        sides = [Side("ours float32", "chainrule.generate", partial(read_side, "our-decoding", told, asked.threads))]
        notes: tuple[str, ...] = ("transformers is not installed: ours was measured alone",)
        if find_spec("transformers"):
            read = partial(read_side, "transformers-decoding", told, asked.threads, peer=True)
            sides.insert(0, Side("transformers float32", "generate with its cache", read))
            notes = ()
        yield Contest(f"decoding 124M, batch {batch}", "tokens/s", sides, notes=notes)


def prompts(batch: int) -> list[list[int]]:
    """Ids that differ from row to row."""
    return [[1 + (7 * row + place) % 200 for place in range(PROMPT)] for row in range(batch)]


def _model() -> GPT:
    torch.manual_seed(0)
    return GPT(ModelConfig(drop_rate=0.0)).eval()


def our_decoding(given: Mapping[str, Any]) -> Reading:
    """Steps behind the prompt and some warm ones."""
    model, batch, n_tokens = _model(), given["batch"], given["n_tokens"]
    decoder = Decoder(model, batch, PROMPT + n_tokens + WARM + 1, n_choices=model.config.vocab_size)
    for ids in prompts(batch):
        decoder.admit(ids, rules=(Temperature(0),))
    for _ in range(WARM):
        decoder.step()
    start, used = time.perf_counter(), time.process_time()
    for _ in range(n_tokens):
        decoder.step()
    return _reading(batch * n_tokens, time.perf_counter() - start, time.process_time() - used)


@torch.inference_mode()
def transformers_decoding(given: Mapping[str, Any]) -> Reading:
    """A text of so many tokens more, less a text of one: the prompt is in both."""
    ours, batch, n_tokens = _model(), given["batch"], given["n_tokens"]
    settings, tensors = to_hugging_face(ours.config, ours.state_dict())
    model, ids = their_gpt2(settings, tensors), torch.tensor(prompts(batch))
    del ours, tensors

    def spent(count: int) -> tuple[float, float]:
        start, used = time.perf_counter(), time.process_time()
        more = {"do_sample": False, "min_new_tokens": count, "max_new_tokens": count, "pad_token_id": 0}
        model.generate(ids, attention_mask=torch.ones_like(ids), **more)
        return time.perf_counter() - start, time.process_time() - used

    spent(WARM)
    (wall, cpu), (wall_one, cpu_one) = spent(n_tokens + 1), spent(1)
    return _reading(batch * n_tokens, wall - wall_one, cpu - cpu_one)


def _reading(n_tokens: int, wall: float, cpu: float) -> Reading:
    return Reading(n_tokens / wall, wall, cpu, n_tokens / cpu)
