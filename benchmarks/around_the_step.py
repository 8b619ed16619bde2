"""What a run does besides its steps, in processor time: every part, and the whole loop beside a bare one.

    OMP_NUM_THREADS=1 python benchmarks/around_the_step.py [--model 0.8M] [--recipe adamw] [--steps 10] [--rounds 9]

A real run is begun in a temporary folder (text, tokenizer, shards, journals, health as they are by default). Then, in
one process and in turn: so many steps by the loop of `chainrule pretrain`, so many by a loop that has forward,
backward, clipping and update and nothing else, on the same model and windows. Parts are measured inside the first. What
comes every so many steps (a look, samples, a checkpoint) is measured alone, and told in steps.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import torch
from about import print_about

from chainrule.base import freed_memory_kept
from chainrule.bench.asked import own_text
from chainrule.bench.sizes import SIZES
from chainrule.config import Layer
from chainrule.model import Batch
from chainrule.run import RunFolder
from chainrule.train import health, looks, loop, step
from chainrule.train.checkpoints import save
from chainrule.train.meter import Meter
from chainrule.train.replan import replan
from chainrule.train.session import Session
from chainrule.train.stages import Start
from chainrule.train.start import anew
from chainrule.train.stop import Stop
from chainrule.train.text_lesson import TextLesson

RECIPES = {
    "adamw": {"optimizer.kind": "adamw", "model.bias": False, "model.qkv_bias": False},
    "modern": {
        "optimizer.kind": "muon",
        "model.norm": "rmsnorm",
        "model.activation": "swiglu",
        "model.position": "rope",
        "model.bias": False,
        "model.qkv_bias": False,
        "model.qk_norm": True,
    },
}
Seconds = dict[str, float]


def settings(size_name: str, recipe: str, text: Path, steps: int) -> Layer:
    size = SIZES[size_name]
    values: dict[str, dict[str, Any]] = {
        "text": {"paths": [str(text)]},
        "vocabulary": {"kind": "chars"},
        "model": {
            **{"emb_dim": size.emb_dim, "n_heads": size.n_heads, "n_layers": size.n_layers},
            **{"context_length": size.context_length, "drop_rate": 0.0},
        },
        "optimizer": {"lr": size.lr},
        # No look falls due inside the measured steps.
        "training": {
            **{"batch_tokens": size.batch * size.context_length, "steps": steps},
            **{"eval_every": steps, "sample_every": steps, "save_every": steps, "prompts": ["The "]},
        },
        "machine": {"device": "cpu", "precision": "float32", "threads": torch.get_num_threads()},
    }
    for key, value in RECIPES[recipe].items():
        section, _, name = key.partition(".")
        values[section][name] = value
    return Layer("benchmark", values)


@contextmanager
def measured(parts: Seconds, places: list[tuple[str, Any, str]]) -> Iterator[None]:
    """Inside, the processor seconds of each named function go into `parts`, those of functions in it included."""
    before = [(owner, name, getattr(owner, name)) for _, owner, name in places]

    def timed(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def inner(*given: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return function(*given, **named)
            finally:
                parts[what] = parts.get(what, 0.0) + time.process_time() - began

        return inner

    for (what, owner, name), (_, _, function) in zip(places, before, strict=True):
        setattr(owner, name, timed(what, function))
    try:
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def places(session: Session, watcher: health.RunHealth, meter: Meter) -> list[tuple[str, Any, str]]:
    """What is measured, and where the loop calls it."""
    return [
        ("forward and backward", step, "backward"),
        ("norms of the gradient", step, "gradient_norms"),
        ("clipping", step, "scale_gradients"),
        ("update, its health inside", session.state.optimizer, "step"),
        ("gradients freed", session.state.optimizer, "zero_grad"),
        ("windows read", session.batches, "windows"),
        ("ids looked at", loop, "check_ids"),
        ("weights looked at", loop, "check_state"),
        ("health: look inside", watcher, "begin"),
        ("health: before the update", watcher, "before_update"),
        ("health: after the update", watcher, "after_update"),
        ("health: rows", watcher, "end"),
        ("generators seeded", loop, "seed_step"),
        ("figures", meter, "count"),
        ("signals, saves", loop, "_another_step"),
    ]


def whole_steps(session: Session, watcher: health.RunHealth, meter: Meter, count: int) -> None:
    """As the loop of a run has them."""
    clock = session.budget.clock
    for _ in range(count):
        loop._another_step(session)
        replan(session)
        began = clock.spent()
        result = loop.update(session, watcher)
        meter.count(result)
        session.budget.pace.stepped(clock.spent() - began)


def bare_steps(session: Session, count: int) -> None:
    """Forward, backward, clipping, update."""
    model, optimizer = session.state.model.train(), session.state.optimizer
    for number in range(count):
        batch = Batch.of(session.batches.windows(number * session.config.batch_windows, session.config.batch_windows))
        loss = model.loss(batch.inputs, batch.targets)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), session.config.optimizer.grad_clip)
        for part in optimizer.parts:
            part.step()
        optimizer.zero_grad()
        loss.item()


def spent(function: Callable[[], object]) -> tuple[float, int]:
    """Processor seconds and page faults of a call."""
    began, faults = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    function()
    return time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults


def compared(session: Session, count: int, rounds: int) -> None:
    watcher, meter = health.RunHealth(session), Meter(session)
    parts: Seconds = {}
    readings: dict[str, list[tuple[float, int]]] = {"whole": [], "bare": []}
    with measured(parts, places(session, watcher, meter)), session.stop.deferred():
        whole_steps(session, watcher, meter, count)
        bare_steps(session, count)
        parts.clear()
        for _ in range(rounds):
            readings["whole"].append(spent(lambda: whole_steps(session, watcher, meter, count)))
            readings["bare"].append(spent(lambda: bare_steps(session, count)))
    n_steps = count * rounds
    seconds = {name: [one / count for one, _ in both] for name, both in readings.items()}
    ratios = sorted(whole / bare for whole, bare in zip(seconds["whole"], seconds["bare"], strict=True))
    mean = sum(seconds["whole"]) / rounds
    for what, found in sorted(parts.items(), key=lambda one: -one[1]):
        print(f"  {what:<28} {1000 * found / n_steps:9.3f} ms {found / n_steps / mean:7.2%}")
    for name, both in readings.items():
        faults = sum(number for _, number in both) / n_steps
        each = 1000 * median(seconds[name])
        print(f"  {name + ' step, median':<28} {each:9.3f} ms, {faults:.1f} page faults a step")
    print(f"  whole over bare: {median(ratios):.4f} ({ratios[0]:.4f} to {ratios[-1]:.4f}, {rounds} rounds)")
    for what, function in (("a look", looks.evaluate), ("samples", looks.sample), ("a checkpoint", save)):
        each = spent(lambda function=function: function(session))[0]  # type: ignore[misc]
        print(f"  {what:<28} {1000 * each:9.1f} ms, as {each / median(seconds['bare']):.1f} steps")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SIZES, default="0.8M")
    parser.add_argument("--recipe", choices=RECIPES, default="adamw")
    parser.add_argument("--text", type=Path, help="a file of text; by default Python's library is made one")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print_about()
    with tempfile.TemporaryDirectory() as name, freed_memory_kept():
        text = options.text or own_text(Path(name))
        run = RunFolder(Path(name) / "run")
        run.path.mkdir()
        stop = Stop()
        start = Start(run, lambda record: None, stop, time.perf_counter(), TextLesson())
        session = anew(start, [settings(options.model, options.recipe, text, 10**6)], None)
        session.state.progress.looked = 0
        print(f"{options.model}, {options.recipe}, float32, {torch.get_num_threads()} threads")
        compared(session, options.steps, options.rounds)


if __name__ == "__main__":
    main()
