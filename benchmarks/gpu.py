"""GPT-2 124M on one GPU, bfloat16 and compiled: our training step and nanoGPT's, from the same weights, in turn.

    python benchmarks/gpu.py --against nanogpt=PATH [--text FILE] [--rounds 5] [--micro-batch 32] [--micro-batches 8]
    python benchmarks/gpu.py --device cpu --tiny --compile off --against nanogpt=PATH

Each reading is a process of its own: updates of so many micro-batches, of which the first few compile and are not
timed; tokens a second of all that follow, with one wait for the GPU at their end; the most memory that was held; the
loss of every update. nanoGPT's side is its model, its `configure_optimizers` and the order of its loop (TF32, autocast,
windows pinned and sent after each forward pass), and it reads its losses when all is over; ours reads each one, as a
run does. Results are JSON in --results, by device. Without a GPU `--device cpu --tiny` goes the same way in small, in
float32, where both losses must be the same but for rounding.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from chainrule.base import UserError, bytes_text, peak_bytes
from chainrule.bench import HEAD, Result, circumstances, rows, write_result
from chainrule.bench.asked import own_text
from chainrule.bench.benchmarks import peers
from chainrule.bench.contest import Contest, Reading, Readings, Side, hold
from chainrule.bench.nanogpt import adamw, built, fingerprint, take_weights
from chainrule.bench.process import last_line
from chainrule.bench.results import versions
from chainrule.bench.sizes import GRAD_CLIP, SEED, Size, drawn_windows, same_architecture, text_ids
from chainrule.bench.steps import given_size
from chainrule.bench.training import AGREES
from chainrule.config import MachineConfig
from chainrule.data import Windows
from chainrule.device import MachineFacts, Precision, look_at_machine, use_tensor_float
from chainrule.model import GPT
from chainrule.optim import Optimizer
from chainrule.train import NextToken, StepSettings, train_step, training_loss

THEIRS, OURS = "nanoGPT", "ours"
# Learning rate and betas of nanoGPT's train.py; its vocabulary.
GPT2 = Size(12, 12, 768, 1024, 256, 25, 5, (0, 0, 0), vocab_size=50_304, lr=6e-4, beta2=0.95)
TINY = Size(2, 2, 32, 16, 4, 6, 2, (0, 0, 0), vocab_size=256, lr=1e-3, beta2=0.95)
WANTED_TOKENS, WANTED_TIMES = 600_000, 1.5


@dataclass(frozen=True)
class Told:
    """What the process of a side is told."""

    side: str
    size: dict[str, Any]
    micro_batch: int
    text: str
    device: str
    precision: str
    compile: str
    peer: str | None = None


Update = Callable[[np.ndarray], float | Tensor]


def our_update(told: Told, size: Size) -> Update:
    """The step of a run."""
    config = same_architecture(size, size.vocab_size)
    precision = Precision(told.device, told.precision)
    use_tensor_float(told.device, told.precision)
    torch.manual_seed(SEED)
    model = GPT(config.model).to(told.device)
    optimizer = Optimizer(model, config, precision.dtype or torch.float32)
    objective = NextToken(training_loss(model, compiled=told.compile != "off", backend=told.compile))
    settings = StepSettings(1.0, told.micro_batch, GRAD_CLIP, precision)
    return lambda windows: train_step(model, optimizer, objective, Windows(windows, None), settings).loss


def their_update(told: Told, size: Size) -> Update:
    """nanoGPT's model and optimizer, in the order of its train.py."""
    assert told.peer is not None
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    config = same_architecture(size, size.vocab_size).model
    torch.manual_seed(SEED)
    weights = GPT(config).state_dict()
    model = built(Path(told.peer), size, size.vocab_size)
    take_weights(model, config, weights)
    model.to(told.device)
    optimizer = adamw(model, size, told.device)
    run = model if told.compile == "off" else torch.compile(model, backend=told.compile)
    narrow = told.precision == "bfloat16"

    def update(windows: np.ndarray) -> Tensor:
        parts = [windows[at : at + told.micro_batch] for at in range(0, len(windows), told.micro_batch)]
        total, (inputs, targets) = torch.zeros((), device=told.device), sent(parts[0], told.device)
        for number in range(len(parts)):
            with torch.autocast(told.device, dtype=torch.bfloat16) if narrow else nullcontext():
                _, loss = run(inputs, targets)
                loss = loss / len(parts)
            if number + 1 < len(parts):
                inputs, targets = sent(parts[number + 1], told.device)
            loss.backward()
            total += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    return update


def sent(windows: np.ndarray, device: str) -> tuple[Tensor, Tensor]:
    """Inputs and targets on the device, by pinned memory where it is a GPU."""
    pair = (torch.from_numpy(windows[:, :-1].copy()), torch.from_numpy(windows[:, 1:].copy()))
    if device == "cuda":
        pair = (pair[0].pin_memory(), pair[1].pin_memory())
    inputs, targets = (one.to(device, non_blocking=True) for one in pair)
    return inputs, targets


def timed(update: Update, windows: Iterable[np.ndarray], size: Size, device: str) -> Reading:
    """Tokens a second of all updates behind the warm ones, the most memory, and all losses."""
    losses, start, used = [], 0.0, 0.0
    for number, batch in enumerate(windows):
        if number == size.warm:
            wait(device)
            start, used = time.perf_counter(), time.process_time()
        losses.append(update(batch))
    wait(device)
    seconds, cpu = time.perf_counter() - start, time.process_time() - used
    tokens = (size.steps - size.warm) * size.batch * size.context_length
    return Reading(tokens / seconds, seconds, cpu, losses=tuple(float(one) for one in losses), peak_bytes=held(device))


def wait(device: str) -> None:
    """Until the device has done what it was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()


def held(device: str) -> int | None:
    """The most bytes that tensors took; on a CPU the process."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else peak_bytes()


def child(words: str) -> None:
    """One reading, as the last line."""
    told = Told(**json.loads(words))
    size = given_size({"size": told.size})
    make = {OURS: our_update, THEIRS: their_update}[told.side]
    with redirect_stdout(sys.stderr):
        ids, _ = text_ids(Path(told.text))
        reading = timed(make(told, size), drawn_windows(ids % size.vocab_size, size), size, told.device)
    sys.stdout.write(json.dumps(asdict(reading)) + "\n")


def read(told: Told, threads: int) -> Reading:
    """By a process of its own."""
    answer = json.loads(last_line([sys.executable, __file__, "--child", json.dumps(asdict(told))], threads))
    return Reading(**{**answer, "losses": tuple(answer["losses"])})


def verdicts(readings: Readings, precision: str) -> Iterator[str]:
    """Memory of each, how far apart the losses are, and whether what was wanted is reached."""
    for name, many in readings.items():
        most = [one.peak_bytes for one in many if one.peak_bytes is not None]
        memory = f"{bytes_text(max(most))} at most" if most else "memory not known"
        shown = [f"{one:.4f}" for one in many[0].losses[:: max(1, len(many[0].losses) // 5)]]
        yield f"{name}: {memory}; losses {', '.join(shown)} … {many[0].losses[-1]:.4f}"
    if THEIRS in readings:
        pairs = zip(readings[THEIRS][0].losses, readings[OURS][0].losses, strict=True)
        worst = max(abs(one - other) for one, other in pairs)
        judged = ""
        if precision == "float32":
            judged = f": they {'agree' if worst <= AGREES else 'DO NOT AGREE'} (up to {AGREES:g} is rounding)"
        yield f"losses are at most {worst:.1e} nats apart in {precision}{judged}"


def wanted(speed: float, times: float | None) -> Iterator[str]:
    """Whether the bars for 124M on a GPU of today's largest class are reached."""
    yield f"{WANTED_TOKENS:,} tokens/s: {'reached' if speed >= WANTED_TOKENS else 'NOT reached'} ({speed:,.0f})"
    if times is not None:
        yield f"{WANTED_TIMES} times nanoGPT: {'reached' if times >= WANTED_TIMES else 'NOT reached'} ({times:.2f})"


def measured(asked: argparse.Namespace, text: Path, facts: MachineFacts, peer: Path | None) -> Result:
    """All rounds."""
    windows = asked.micro_batch * asked.micro_batches
    size = replace(TINY if asked.tiny else GPT2, batch=windows, steps=asked.steps, warm=asked.warm)
    told = Told(
        side=OURS,
        size=asdict(size),
        micro_batch=asked.micro_batch,
        text=str(text),
        device=facts.device,
        precision=facts.precision,
        compile=asked.compile,
        peer=None if peer is None else str(peer),
    )
    names: Sequence[str] = (OURS,) if peer is None else (THEIRS, OURS)
    words = f"{facts.precision}, compiled by {asked.compile}, {asked.micro_batches} x {asked.micro_batch} windows"
    sides = [Side(name, words, partial(read, replace(told, side=name), facts.threads)) for name in names]
    contest = Contest(
        f"GPU {'tiny' if asked.tiny else '124M'}",
        "tokens/s",
        sides,
        judge=lambda found: tuple(verdicts(found, facts.precision)),
    )
    made = datetime.now(UTC)
    found = hold(contest, asked.rounds, partial(print, flush=True))
    known = versions() | ({"nanoGPT (model.py, train.py)": fingerprint(peer)} if peer else {})
    return Result(
        "gpu",
        made.isoformat(timespec="seconds"),
        facts.device_name.replace(" ", "-") if facts.device == "cuda" else facts.processor_class,
        asked.rounds,
        facts.threads,
        asked.tiny,
        text.name,
        facts.row(),
        known,
        None,
        (found,),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default=None, metavar="nanogpt=PATH")
    parser.add_argument("--text", type=Path)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--compile", default="inductor", help="a backend of torch.compile, or off")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--micro-batch", type=int)
    parser.add_argument("--micro-batches", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--warm", type=int)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--child")
    asked = parser.parse_args()
    if asked.child:
        child(asked.child)
        return
    like = TINY if asked.tiny else GPT2
    usual = {"micro_batch": 2 if asked.tiny else 32, "micro_batches": 2 if asked.tiny else 8}
    usual |= {"steps": like.steps, "warm": like.warm}
    for name, value in usual.items():
        setattr(asked, name, value if getattr(asked, name) is None else getattr(asked, name))
    if not 0 <= asked.warm < asked.steps:
        parser.error(f"--warm {asked.warm} of --steps {asked.steps} leaves nothing to time; give fewer warm ones")
    try:
        precision = "bfloat16" if asked.device == "cuda" else "float32"
        facts = look_at_machine(MachineConfig(device=asked.device, precision=precision, kernels="off"))
        peer = peers([asked.against])["nanogpt"] if asked.against else None
        with tempfile.TemporaryDirectory() as folder:
            result = measured(asked, asked.text or own_text(Path(folder)), facts, peer)
    except UserError as fault:
        parser.exit(2, f"{fault}\n")
    (found,) = result.contests
    for row in (HEAD, *rows(found)):
        print(" | ".join(row))
    ours = found.sides[-1]
    times = float(np.median(found.ratios(ours))) if len(found.sides) > 1 else None
    for note in (*found.notes, *([] if asked.tiny else wanted(ours.middle, times)), circumstances(result)):
        print(note)
    print(f"kept in {write_result(result, asked.results)}")


if __name__ == "__main__":
    main()
