"""A run that is stopped at every step, and where epochs, threads, number formats and pieces of a batch differ."""

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chainrule.base import processor_class
from chainrule.run import RunFolder, write_run_json
from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import Ended, command
from proof.tiny import fingerprint, hold_equal, new, no_traceback, resumed
from proof.triggers import at_call, sent

UPDATE = "chainrule.train.loop:update"
# What another machine would have written of itself.
ELSEWHERE = {
    "cpu": "Another Processor",
    "cores": 96,
    "memory_bytes": 2**40,
    "peak_flops": 1e15,
    "cpu_capability": "AVX2",
}


@dataclass(frozen=True)
class Way:
    """One row of the matrix: settings over the tiny run's, at which steps it is stopped, what happens between."""

    name: str
    steps: int
    over: Mapping[str, str] = field(default_factory=dict)
    stops: Callable[[Attempt], list[int]] = lambda attempt: [attempt.number + 1]
    between: Callable[[Path], None] = lambda run: None
    total: int = 6
    quick: int = 0


def resumes(bench: Bench) -> Iterator[Case]:
    """The matrix, one case for each row."""
    three = lambda attempt: sorted(attempt.chance.sample(range(1, 29), 3))  # noqa: E731
    yield _case(bench, Way("every step of 30", 30, {"training__save_every": "30"}, total=29, quick=1))
    epochs = {"training__batch_tokens": "1024"}
    yield _case(bench, Way("9 epochs, stopped three times", 30, epochs, three))
    yield _case(bench, Way("2 threads, stopped three times", 30, {"machine__threads": "2"}, three))
    pieces = {"machine__micro_batch": "1"}
    yield _case(bench, Way("4 micro-batches a step, stopped three times", 30, pieces, three))
    adamw = {"optimizer__kind": "adamw", "optimizer__lr": "0.003"}
    yield _case(bench, Way("AdamW for all weights, stopped three times", 30, adamw, three))
    yield _case(bench, Way("facts of another machine on the way", 30, {}, three, _moved))
    if processor_class().bfloat16:
        yield _case(bench, Way("bfloat16, stopped three times", 30, {"machine__precision": "bfloat16"}, three))


def _case(bench: Bench, way: Way) -> Case:
    straight: dict[str, Mapping[str, str]] = {}
    over = {**way.over, "training__steps": str(way.steps)}

    def attempt(attempt: Attempt) -> str:
        if not straight:
            straight["run"] = fingerprint(bench.run_of(f"straight, {way.name}", None, **over))
        run, done = attempt.folder / "run", 0
        for step in way.stops(attempt):
            # Before update `step` + 1 of the run is begun: a stop between two steps.
            words = resumed(run) if done else new(bench.texts, run, **over)
            ended = command(words, attempt.folder, before=at_call(UPDATE, step + 1 - done, sent(signal.SIGTERM)))
            _hold_stopped(ended, step)
            done = step + 1
            way.between(run)
        ended = command(resumed(run), attempt.folder)
        no_traceback(ended)
        hold(ended.code == 0, ended.last())
        hold_equal(straight["run"], run)
        return "equal"

    return Case(f"resume: {way.name}", way.total, attempt, quick=way.quick)


def _hold_stopped(ended: Ended, step: int) -> None:
    no_traceback(ended)
    # The signal came as the update began, which it let come to its end.
    hold(ended.code == 128 + signal.SIGTERM, f"stopped at step {step}: {ended.last()}")
    hold(f"saved step {step + 1}" in ended.said, f"stopped at step {step}, and not saved: {ended.last()}")


def _moved(run: Path) -> None:
    path = run / "machine.json"
    record = json.loads(path.read_bytes())
    known = record.get("machine") or {}
    record["machine"] = {**known, **{name: value for name, value in ELSEWHERE.items() if name in known}}
    # By the run's own hand, with its checksum: else it would be a damaged file, which is not believed.
    write_run_json(RunFolder(run), path, record)
