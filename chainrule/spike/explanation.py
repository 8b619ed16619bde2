"""Why a step was out of line: the diagnosis of its bundle with the evidence, in words and with the text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from chainrule.base import layer_in_words, ratio_text
from chainrule.data import Windows
from chainrule.health import Diagnosis, diagnose, ratio_score
from chainrule.run import RunFolder
from chainrule.spike.replay import Bundle, case_of, neighbours, open_bundle
from chainrule.spike.text import Surprise, most_frequent, surprises, window_gradients, window_losses

SENTENCES = {
    "weights": "The weights themselves are not finite, so no batch can pass: a step before, or the disk, damaged them.",
    "not reproduced": "The replay of the very same step is in line: its excess came from outside the arithmetic that "
    "can be repeated.",
    "precision": "The same step is in line in float64: the number format made the excess.",
    "learning rate": "Ordinary batches are out of line at these weights too: the updates before moved them too far.",
    "data": "Ordinary batches are in line at these very weights; this one is not, in float64 either: the text did it.",
}
REMEDIES = {
    "weights": "Go back to a checkpoint before: `chainrule pretrain --resume` takes the newest that is whole.",
    "not reproduced": "Look at the machine (another device, memory errors) and at operations that do not repeat.",
    "precision": "machine.precision = float32, or model.qk_norm, which keeps attention’s logits small.",
    "learning rate": "A lower optimizer.lr (or muon_lr), a longer schedule.warmup_share, optimizer.grad_clip = 1.",
    "data": "Look at the text below; text.duplicates and text.on_bad clean it, optimizer.grad_clip bounds the rest.",
}
FAST, GROWN = 3.0, 1.5


@dataclass(frozen=True)
class SpikeReport:
    """A step, what was out of line, why, by what evidence, and what to try.

    `same_numbers`: the replay in the run's own precision gave the loss and the gradient norm of the run, bit for bit.
    """

    step: int
    what: tuple[dict[str, Any], ...]
    loss: float
    grad_norm: float
    same_numbers: bool
    diagnosis: Diagnosis
    sentence: str
    remedy: str
    evidence: tuple[str, ...]
    tokens: tuple[Surprise, ...]


def explain_spike(
    run: RunFolder, step: int | None = None, say: Callable[[str], object] = lambda phase: None
) -> SpikeReport:
    """Replays a step of `run` that was out of line and names the cause; LensError when the run left no bundle."""
    bundle = open_bundle(run, step)
    threads = torch.get_num_threads()
    try:
        found = diagnose(case_of(bundle, run, say))
        near = neighbours(bundle, run) if found.cause == "data" else []
        evidence = tuple(_evidence(bundle, found, near))
        tokens = tuple(surprises(bundle.model, bundle.windows, bundle.tokenizer)) if found.cause == "data" else ()
    finally:
        torch.set_num_threads(threads)
    own = next(iter(found.replays.values()), None)
    loss, norm = bundle.number("loss"), bundle.number("grad_norm")
    return SpikeReport(
        bundle.step,
        tuple(bundle.state["what"]),
        loss,
        norm,
        own is not None and bool(np.float32(own.loss) == np.float32(loss)),
        found,
        SENTENCES[found.cause],
        REMEDIES[found.cause],
        evidence,
        tokens,
    )


def _evidence(bundle: Bundle, found: Diagnosis, near: list[Windows]) -> Iterator[str]:
    if found.bad_weights:
        more = f" and {len(found.bad_weights) - 3} more" if len(found.bad_weights) > 3 else ""
        yield f"not finite: {', '.join(found.bad_weights[:3])}{more}"
    if found.forward:
        yield f"first output out of line, {found.forward}"
    if found.backward:
        yield f"first gradient out of line on the way back, {found.backward}"
    in_line = sum(one.in_line for one in found.ordinary)
    if found.ordinary:
        yield f"{in_line} of {len(found.ordinary)} batches of the steps around are in line at the same weights"
    if found.cause in ("learning rate", "weights"):
        yield from _updates(bundle)
    if found.cause == "data":
        yield from _text(bundle, near)


def _updates(bundle: Bundle) -> Iterator[str]:
    """How fast the layers moved in the steps before, and how much they grew."""
    past, layers = bundle.state["past"], bundle.state["layers"]
    if len(past) < 2:
        yield "the bundle holds too few steps to say how fast the weights moved"
        return
    recent, before = past[-min(3, len(past) // 2 or 1) :], past[: max(1, len(past) // 2)]
    moved = []
    for place, layer in enumerate(layers):
        late = [row["ratio"][place] for row in recent if row["ratio"][place] is not None]
        early = [row["ratio"][place] for row in before if row["ratio"][place] is not None]
        if late and early:
            moved.append((max(late), median(early), layer))
    if moved:
        fastest, usual, layer = max(moved)
        times = f", {fastest / usual:.1f} times as much as before" if usual and fastest > FAST * usual else ""
        yield f"in the steps before, an update moved {layer_in_words(layer)} by {fastest:.1%} of its size{times}"
    grown = [
        (now / then, layer)
        for layer, then, now in zip(layers, past[0]["weight"], bundle.state["weight"], strict=True)
        if then and now
    ]
    if grown and max(grown)[0] > GROWN:
        factor, layer = max(grown)
        yield f"the weights of {layer_in_words(layer)} grew {factor:.1f} times in {len(past)} steps"
    pulls = []
    for place, layer in enumerate(layers):
        earlier = [row["gradient"][place] for row in past if row["gradient"][place]]
        if earlier and bundle.state["gradient"][place]:
            pulls.append((bundle.state["gradient"][place] / median(earlier), layer))
    if pulls:
        factor, layer = max(pulls)
        yield f"the gradient of {layer_in_words(layer)} is {ratio_text(factor)} times its median of the steps before"
    yield f"learning rate at this step: {bundle.state['lr']:.3g}"


def _text(bundle: Bundle, near: list[Windows]) -> Iterator[str]:
    """Which windows stand out, and by what."""
    own = window_losses(bundle.model, bundle.windows)
    usual = np.concatenate([window_losses(bundle.model, one) for one in near]) if near else own
    count = int((own > usual.max()).sum())
    if count:
        yield (
            f"{count} of {len(own)} windows lose more than any of the {len(usual)} around; the worst, window "
            f"{own.argmax()}, loses {own.max():.2f} nats per token, and {np.median(usual):.2f} are usual"
        )
    pulls = window_gradients(bundle.model, bundle.windows)
    if len(pulls) > 1 and pulls.max() > FAST * np.median(pulls):
        yield (
            f"window {pulls.argmax()} alone has a gradient of {pulls.max():.3g}; {np.median(pulls):.3g} is the median "
            f"of the {len(pulls)}"
        )
    frequent = [most_frequent(ids) for ids in bundle.windows.ids]
    share = max(one[1] for one in frequent)
    token, place = next((one[0], number) for number, one in enumerate(frequent) if one[1] == share)
    around = [most_frequent(ids)[1] for one in near for ids in one.ids]
    if around and share > max(around) and ratio_score(share, around) > 2:
        text = bundle.tokenizer.decode([token])
        yield f"window {place} consists to {share:.0%} of one token, {text!r}; {median(around):.0%} is usual"
