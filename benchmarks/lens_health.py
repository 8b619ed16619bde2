"""What watching a run's health costs: norms at every step, and looks inside, as shares of a step.

    python benchmarks/lens_health.py [--sizes toy tiny small gpt2] [--rounds 15] [--threads 1]

A round makes one step without health and one with it, in turn, on the same model and batch, and one look inside.
The toy's step is so short that the bookkeeping of its thirty small tensors shows; the target is for the others.
Norms: the seconds inside health's own code over those of a step; in brackets the difference of whole steps, which has
the machine's noise too. Looks: those of a look over 50 steps (health_every). All are medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from about import print_about

from chainrule.config import Config, Layer, resolve
from chainrule.data import Windows
from chainrule.device import Precision, look_at_machine
from chainrule.run import RunFolder
from chainrule.train.health import RunHealth
from chainrule.train.objective import NextToken
from chainrule.train.session import Session
from chainrule.train.state import TrainState
from chainrule.train.step import StepSettings, train_step
from chainrule.train.text_lesson import TextLesson

NORMS_TARGET, LOOKS_TARGET = 0.02, 0.05


@dataclass(frozen=True)
class Size:
    """A model and the batch of a step: `batch` windows, `micro_batch` at a time."""

    model: dict[str, int]
    batch: int
    micro_batch: int


SIZES = {
    "toy": Size({"vocab_size": 512, "context_length": 64, "emb_dim": 64, "n_heads": 2, "n_layers": 2}, 16, 8),
    "tiny": Size({"vocab_size": 2048, "context_length": 256, "emb_dim": 128, "n_heads": 4, "n_layers": 4}, 16, 8),
    "small": Size({"vocab_size": 4096, "context_length": 256, "emb_dim": 256, "n_heads": 4, "n_layers": 6}, 16, 8),
    "gpt2": Size({"vocab_size": 50257, "context_length": 256, "emb_dim": 768, "n_heads": 12, "n_layers": 12}, 4, 2),
}


def make_session(size: Size, folder: Path, threads: int) -> tuple[Session, Windows]:
    """A session without text: all that a step and its health need, and a batch of random tokens."""
    settings: dict[str, dict[str, Any]] = {
        "model": {**size.model, "drop_rate": 0.0},
        "training": {"steps": 1000, "batch_tokens": size.batch * size.model["context_length"], "log_every": 1},
        "machine": {"device": "cpu", "precision": "float32", "threads": threads},
    }
    config: Config = resolve([Layer("benchmark", settings)]).config
    facts = look_at_machine(config.machine)
    ids = np.random.default_rng(0).integers(0, config.model.vocab_size, (size.batch, config.model.context_length + 1))
    state = TrainState.fresh(config, Precision(facts.device, facts.precision))
    none = cast(Any, None)
    session = Session(
        run=RunFolder(folder),
        config=config,
        facts=facts,
        tokenizer=none,
        dataset=none,
        old=None,
        batches=none,
        state=state,
        lesson=TextLesson(),
        objective=NextToken(state.model.loss),
        micro_batch=size.micro_batch,
        watch=lambda record: None,
        stop=none,
    )
    return session, Windows(ids, None)


def step_seconds(session: Session, windows: Windows, health: RunHealth | None) -> float:
    """Seconds of one step, with all that health does at every step but no look inside."""
    start = time.perf_counter()
    if health:
        health.windows = windows
    train_step(
        session.state.model.train(),
        session.state.optimizer,
        session.objective,
        windows,
        StepSettings(factor=0.01, micro_batch=session.micro_batch, grad_clip=1.0, precision=session.precision),
        health,
    )
    session.state.progress.step += 1
    if health:
        health.end()
    return time.perf_counter() - start


@dataclass
class Clock:
    """Adds up the seconds inside some methods of one object."""

    seconds: float = 0.0

    def watch(self, one: object, *names: str) -> None:
        for name in names:
            setattr(one, name, self._timed(getattr(one, name)))

    def watch_context(self, one: object, name: str) -> None:
        """Counts entering and leaving the contexts that a method gives, and not what happens inside."""
        method = getattr(one, name)

        @contextmanager
        def timed(*arguments: Any) -> Iterator[None]:
            context = method(*arguments)
            self._timed(context.__enter__)()
            yield
            self._timed(context.__exit__)(None, None, None)

        setattr(one, name, timed)

    def _timed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*arguments)
            finally:
                self.seconds += time.perf_counter() - start

        return timed


def look_seconds(session: Session, windows: Windows, health: RunHealth) -> float:
    """Seconds of one look inside."""
    session.state.progress.step = 0  # a look is due
    start = time.perf_counter()
    health.begin(windows)
    return time.perf_counter() - start


def measure(name: str, rounds: int, threads: int) -> None:
    """Prints one line."""
    with tempfile.TemporaryDirectory() as folder:
        session, windows = make_session(SIZES[name], Path(folder), threads)
        health = RunHealth(session)
        clock = Clock()
        clock.watch(health, "first_portion", "before_update", "after_update", "end")
        clock.watch_context(health, "moving")
        bare, more, looks, own = [], [], [], []
        for turn in range(rounds + 2):
            clock.seconds = 0.0
            order = (None, health) if turn % 2 else (health, None)
            times = {one is None: step_seconds(session, windows, one) for one in order}
            look = look_seconds(session, windows, health)
            if turn >= 2:  # the first rounds warm up
                bare.append(times[True])
                more.append(times[False] - times[True])
                looks.append(look)
                own.append(clock.seconds)
        every = session.config.training.health_every
    step = statistics.median(bare)
    norms, inside = statistics.median(own) / step, statistics.median(looks) / step / every
    whole = statistics.median(more) / step
    spread = " to ".join(f"{value / step:+.1%}" for value in statistics.quantiles(more, n=4)[::2])
    print(
        f"{name:6} step {step * 1e3:8.1f} ms   norms {norms:5.2%} (whole steps: {whole:+.1%}, quartiles {spread})   "
        f"look {statistics.median(looks) * 1e3:7.1f} ms = {inside:5.2%} at every {every}   "
        f"{'within' if norms <= NORMS_TARGET and inside <= LOOKS_TARGET else 'BEYOND'} "
        f"{NORMS_TARGET:.0%} and {LOOKS_TARGET:.0%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    print_about()
    for name in given.sizes:
        measure(name, given.rounds, given.threads)


if __name__ == "__main__":
    main()
