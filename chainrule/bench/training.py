"""Training tokens a second at the same architecture with AdamW, beside nanoGPT's own code, and the losses of both."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from chainrule.bench.asked import Asked
from chainrule.bench.contest import Contest, Reading, Readings, Side
from chainrule.bench.process import read_side
from chainrule.bench.sizes import SIZES, Size
from chainrule.bench.steps import request

NANOGPT, OURS, AUTO, MODERN = "nanoGPT float32", "ours float32", "ours auto", "ours modern + Muon"
# Largest difference of two float32 losses, in nats, that is rounding. The one difference of the two programs is GELU:
# nanoGPT's is exact, ours is GPT-2's tanh form. Together they came to 8e-5 over 103 steps of 0.8M, 1.7e-4 over 10 of
# 10.8M (3.3e-4 with two windows a batch) and 1.1e-4 over 3 of 124M; a rate that is 5 % off came to more than 1e-3 in a
# dozen steps of a model of two layers.
AGREES = 1e-3


def training(asked: Asked) -> Iterator[Contest]:
    """One contest for each size."""
    for name, size in SIZES.items():
        told = request(size, asked.text, short=asked.short)
        yield Contest(
            f"training {name}", "tokens/s", list(_sides(asked, told, size)), judge=agreement, notes=tuple(_notes(asked))
        )


def _sides(asked: Asked, told: Mapping[str, Any], size: Size) -> Iterator[Side]:
    def side(name: str, what: str, task: str, **more: object) -> Side:
        return Side(name, what, partial(read_side, task, {**told, **more}, asked.threads, peer=task == "nanogpt-steps"))

    if asked.nanogpt:
        words = "its model, AdamW and the order of its loop, float32, with the system's allocator as it is"
        yield side(NANOGPT, words, "nanogpt-steps", peer=str(asked.nanogpt))
    same = "the same architecture and AdamW from the same weights on the same windows"
    yield side(OURS, f"{same}, float32", "our-steps", recipe="same", precision="float32")
    if asked.precision != "float32":
        yield side(
            f"{AUTO}: {asked.precision}",
            f"{same}, matrix products in {asked.precision}, which precision = auto takes here",
            "our-steps",
            recipe="same",
            precision=asked.precision,
        )
    yield side(
        f"{MODERN}, {asked.precision}",
        "another recipe: RMSNorm, RoPE, SwiGLU and Muon at the same width and depth; tokens a second alone compare",
        "our-steps",
        recipe="modern",
        precision=asked.precision,
    )


def _notes(asked: Asked) -> Iterator[str]:
    if asked.precision == "float32":
        yield "precision = auto takes float32 here: no side of its own"
    if not asked.nanogpt:
        yield "nanoGPT was not measured: give its checkout with --against nanogpt=PATH"


def agreement(readings: Readings) -> tuple[str, ...]:
    """Whether both programs' float32 losses are the same but for rounding, step by step."""
    if NANOGPT not in readings:
        return ()
    pairs = [
        apart for theirs, ours in zip(readings[NANOGPT], readings[OURS], strict=True) for apart in _apart(theirs, ours)
    ]
    worst, last = max(pairs), readings[OURS][0].losses[-1]
    verdict = "agree" if worst <= AGREES else "DO NOT AGREE"
    return (
        f"float32 losses {verdict}: at most {worst:.1e} nats apart over {len(readings[OURS][0].losses)} steps from the "
        f"same weights (up to {AGREES:g} is rounding and GELU's form), {last:.4f} at the last",
    )


def _apart(theirs: Reading, ours: Reading) -> list[float]:
    return [abs(one - other) for one, other in zip(theirs.losses, ours.losses, strict=True)]
