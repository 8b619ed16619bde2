"""Before a run: can the model learn eight examples by heart, and then answer them and stop? A copy of it tries that.

Whatever is wrong with mask, shift, template, stop token or learning rate shows here in seconds and not after hours.
"""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch

from chainrule.base import TrainingError
from chainrule.finetune.answering import answers, question_of
from chainrule.finetune.examples import Taught
from chainrule.finetune.packing import packed
from chainrule.model import GPT, IGNORED, Batch, adapter_in_use

N_ROWS, MOST_SECONDS, MOST_STEPS = 8, 30.0, 300
# Adam learns a few rows by heart at rates that a run would not survive; wider models take less.
RATE, WIDTH = 1e-3, 384
# An adapter's few numbers move further.
ADAPTER_FACTOR = 5.0
LEAST_FALL = 0.7
"""The loss must fall below this share of its beginning, else nothing is being learnt."""


@dataclass(frozen=True)
class ProbeResult:
    """What the trial showed: the loss in nats per learnt token at its two ends, and answers that came back whole."""

    n_rows: int
    n_exact: int
    n_stopped: int
    first_loss: float
    last_loss: float
    steps: int
    seconds: float
    by_heart: bool
    """Whether every learnt token became the likeliest; else the time was up before."""

    @property
    def sentence(self) -> str:
        """For the person."""
        told = f"loss {self.first_loss:.2f} to {self.last_loss:.3f} in {self.steps} steps and {self.seconds:.0f} s"
        if not self.by_heart:
            return f"overfit probe: {self.n_rows} rows, {told}; the time was up before they were known by heart"
        return f"overfit probe: {self.n_exact} of {self.n_rows} rows answered word for word and stopped, {told}"


def overfit(
    model: GPT, examples: Sequence[Taught], stop: Collection[int], *, n_choices: int, most_seconds: float = MOST_SECONDS
) -> ProbeResult:
    """Lets the model learn the shortest of the first examples by heart, and asks it for their answers.

    The model is used up: its weights are others afterwards, so it must be a copy of the one that is to be taught.
    Raises TrainingError with the likely cause when the loss does not fall, or when what is known by heart is not
    answered and stopped: then what is served is not what was learnt.
    """
    rows = _chosen(examples)
    if not rows:
        raise TrainingError("the overfit probe has no conversation to learn; --no-probe leaves it out")
    began = time.perf_counter()
    trial = model.train()
    longest = max(map(len, rows))
    windows = packed(rows, min(longest, model.config.context_length), 0, together=False)
    batch = Batch.of(windows.windows(torch.arange(len(rows)).numpy()), device=next(trial.parameters()).device)
    first, last, steps, known = _learn(trial, batch, began + most_seconds * 0.8)
    if not (math.isfinite(last) and (known or last < LEAST_FALL * first)):
        raise TrainingError(
            f"the overfit probe learnt nothing: after {steps} steps on {len(rows)} rows the loss went from {first:.3f} "
            f"to {last:.3f}. Do the targets belong to the inputs (a shift, a mask), and are weights trained at all? "
            "--no-probe leaves the probe out"
        )
    if not known:
        return ProbeResult(len(rows), 0, 0, first, last, steps, time.perf_counter() - began, by_heart=False)
    questions = [question_of(row) for row in rows]
    most = max(len(question.answer) for question in questions) + 8
    given = answers(trial, questions, stop, most_tokens=most, n_choices=n_choices)
    exact = sum(answer.is_exact(question) for answer, question in zip(given, questions, strict=True))
    stopped = sum(answer.stopped for answer in given)
    seconds = time.perf_counter() - began
    if exact < len(rows):
        cause = (
            "they do not stop: the token that ends a turn is not learnt, or not the one at which generation stops"
            if stopped < len(rows)
            else "they are other answers: the prompt that is asked is not the one that was learnt, or the mask "
            "leaves out a part of the answer"
        )
        raise TrainingError(
            f"the overfit probe knows {len(rows)} rows by heart, and asked for their answers it gives {exact} of them: "
            f"{cause}. --no-probe leaves the probe out"
        )
    return ProbeResult(len(rows), exact, stopped, first, last, steps, seconds, by_heart=True)


def _chosen(examples: Sequence[Taught]) -> list[Taught]:
    """Short conversations with different prompts: equal ones with different answers could not be known by heart."""
    talks = sorted((one for one in examples[:256] if one.ends and one.trained.any()), key=len)
    by_prompt = {question_of(one).prompt: one for one in reversed(talks) if question_of(one).prompt}
    return sorted(by_prompt.values(), key=len)[:N_ROWS]


def _learn(model: GPT, batch: Batch, end: float) -> tuple[float, float, int, bool]:
    """Steps until every learnt token is the likeliest twice in a row, or the time is up."""
    rate = RATE * min(1.0, (WIDTH / model.config.emb_dim) ** 0.5)
    if adapter_in_use(model):
        rate *= ADAPTER_FACTOR
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=rate, weight_decay=0.0)
    counted = batch.targets != IGNORED
    first, last, in_a_row, step = math.nan, math.nan, 0, 0
    for step in range(1, MOST_STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, step / 5)
        logits = model(batch.inputs, documents=batch.documents)
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1).float(), batch.targets.flatten(), ignore_index=IGNORED
        )
        last = loss.item()
        first = last if step == 1 else first
        known = bool((logits.argmax(-1) == batch.targets)[counted].all())
        in_a_row = in_a_row + 1 if known else 0
        if in_a_row == 2 or not math.isfinite(last) or time.perf_counter() > end:
            break
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return first, last, step, in_a_row == 2
