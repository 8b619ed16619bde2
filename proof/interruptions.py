"""Signals in every phase of a run, to the process and to its group, and a second one at any line of an update."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import Ended, command, start
from proof.tiny import acknowledged, finish_run, hold_equal, hold_whole, new, no_traceback
from proof.triggers import Act, at_call, at_line, counting_lines, sent
from proof.verbs import Verb, interrupted_verbs, verbs_that_write

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGQUIT") if hasattr(signal, name)
)
# The function whose entry begins the phase, named in the module that calls it, and which of its calls is meant.
PHASES: dict[str, tuple[str, int]] = {
    "verb": ("chainrule.cli.command:_called", 1),
    "torch loaded": ("chainrule.cli.start:load_torch", 1),
    "folder claimed": ("chainrule.train.pretraining:read_start", 1),
    "asked": ("chainrule.train.stages:draft", 1),
    "machine": ("chainrule.train.stages:look_at_machine", 1),
    "survey": ("chainrule.train.stages:read_text", 1),
    "settled": ("chainrule.train.stages:settle", 1),
    "tokenizer": ("chainrule.train.stages:make_tokenizer", 1),
    "packing": ("chainrule.train.stages:make_shards", 1),
    "probe": ("chainrule.train.stages:probe", 1),
    "plan": ("chainrule.train.start:plan_time", 1),
    "settings written": ("chainrule.train.start:save_settings", 1),
    "step": ("chainrule.train.loop:train_step", 5),
    "look": ("chainrule.train.looks:score", 2),
    "sample": ("chainrule.train.looks:generate", 2),
    "save": ("chainrule.train.looks:save", 2),
    "prune": ("chainrule.train.saving:prune_checkpoints", 3),
    "finish": ("chainrule.train.finish:score_at_the_end", 1),
    "baselines": ("chainrule.train.finish:baselines_within", 1),
    "completions": ("chainrule.train.finish:texts_at_the_end", 1),
    "summary": ("chainrule.train.finish:write_summary", 1),
    "report": ("chainrule.train.pretraining:_reported", 1),
}
# Imports of a fresh interpreter, the first of them behind the package's own first lines. Before those Python itself is
# being started, and answers Ctrl-C by its own traceback.
IMPORTS = (10, 40, 120, 300, 700, 1500, 3000)
COMMAND = "chainrule.cli.command:_called"
UPDATE = "chainrule.train.loop:update"
# A little more than the lines of chainrule that an update runs.
LINES = 1200


@dataclass(frozen=True)
class Cell:
    """Which signal, to whom, in which phase."""

    number: signal.Signals
    group: bool
    phase: str

    def __str__(self) -> str:
        return f"{self.number.name} to the {'group' if self.group else 'process'} in {self.phase}"


def interruptions(bench: Bench) -> Iterator[Case]:
    """The table of signals, fresh interpreters, second signals inside an update, and Ctrl-C in the other verbs."""
    cells = [Cell(number, group, phase) for phase in PHASES for number in SIGNALS for group in (False, True)]
    yield Case("signals x {process, group} x phases", len(cells), lambda one: _cell(bench, one, cells), quick=2)
    early = [Cell(number, False, str(place)) for place in IMPORTS for number in SIGNALS]
    yield Case("signals while the command is loaded", len(early), lambda one: _early(bench, one, early), quick=0)
    yield Case("a second signal at a line of an update", 150, lambda one: _second(bench, one), quick=1)
    yield from interrupted_verbs(bench)
    for verb in verbs_that_write(bench):
        if verb.name in ("export hf", "export gguf"):
            yield _at_any_line(bench, verb)


def _cell(bench: Bench, attempt: Attempt, cells: Sequence[Cell]) -> str:
    cell, run = cells[attempt.number], attempt.folder / "run"
    call, nth = PHASES[cell.phase]
    trigger = at_call(call, nth, sent(cell.number, group=cell.group))
    ended = command(new(bench.texts, run), attempt.folder, before=trigger)
    return _judged(bench, run, ended, cell.number, str(cell))


def _judged(bench: Bench, run: Path, ended: Ended, number: int, what: str) -> str:
    no_traceback(ended)
    # 0: it came when nothing was left to end, or the end was reached; minus the signal: nothing had been begun.
    usual = {0, 128 + number, -number}
    hold(ended.code in usual, f"{what}: {ended.last()}")
    saved = hold_whole(run, acknowledged(ended.said)) if (run / "checkpoints").is_dir() else 0
    left = [path.name for path in run.glob("checkpoints/.*")] if ended.code != -number else []
    hold(not left, f"{what}: left {left}")
    finish_run(bench.texts, run)
    hold_equal(bench.equal_to, run)
    if ended.code == 0:
        return "ended as if alone"
    return "saved" if saved else "nothing to save"


def _early(bench: Bench, attempt: Attempt, cells: Sequence[Cell]) -> str:
    """In an interpreter of its own, because here everything is loaded: only what is said and left is judged."""
    cell = cells[attempt.number]
    program = (
        "import os, sys\n"
        f"sys.path[:0] = {sys.path[:3]!r}\n"
        "import chainrule\n"
        f"left, word = {int(cell.phase)}, 'import'\n"
        "def hook(event, arguments):\n"
        "    global left\n"
        "    left -= event == word\n"
        "    if left == 0 and event == word:\n"
        f"        os.kill(os.getpid(), {int(cell.number)})\n"
        "sys.addaudithook(hook)\n"
        "from chainrule.__main__ import main\n"
        "sys.exit(main())\n"
    )
    words = [sys.executable, "-c", program, *new(bench.texts, attempt.folder / "run", training__steps="1")]
    ended = start([], attempt.folder, program=lambda _: os.execv(words[0], words)).wait()
    no_traceback(ended)
    hold(ended.code in {0, 128 + cell.number, -cell.number, 130}, f"{cell}: {ended.last()}")
    return "exit code 0" if ended.code == 0 else ""


def _second(bench: Bench, attempt: Attempt) -> str:
    """A first signal between two steps and a second, Ctrl-C, at a line of the next update: nothing half is saved."""
    chance, run = attempt.chance, attempt.folder / "run"
    first = chance.choice([signal.SIGINT, signal.SIGTERM])
    line, step = chance.randint(1, LINES), chance.randint(1, 11)

    def both() -> None:
        os.kill(os.getpid(), first)
        os.kill(os.getpid(), signal.SIGINT)

    before = _from_step(step, at_line(UPDATE, line, both))
    ended = command(new(bench.texts, run), attempt.folder, before=before)
    what = f"{first.name} and SIGINT at line {line} from step {step}"
    hold(ended.code in (0, 128 + first, 130), f"{what}: {ended.last()}")
    return _judged(bench, run, ended, {0: 0, 130: 2}.get(ended.code, int(first)), what)


def _at_any_line(bench: Bench, verb: Verb) -> Case:
    """SIGTERM where any line of Python runs, in an import or a library's callback as well as in our own."""
    known: dict[str, str] = {}
    lines: list[int] = []

    def attempt(attempt: Attempt) -> str:
        if not lines:
            place, told = bench.folder / f"lines of {verb.name}", bench.folder / f"number of lines of {verb.name}"
            place.mkdir()
            verb.lay(place)
            ended = command(verb.words(place), place, before=counting_lines(COMMAND, told))
            hold(ended.code == 0, f"the uninterrupted {verb.name} does not end well, {ended.last()}")
            known.update(verb.made(place))
            lines.append(int(told.read_text()))
        verb.lay(attempt.folder)
        line = attempt.chance.randint(1, lines[0])
        before = at_line(COMMAND, line, sent(signal.SIGTERM), of="")
        ended = command(verb.words(attempt.folder), attempt.folder, before=before)
        what = f"SIGTERM at line {line:,} of {lines[0]:,}"
        no_traceback(ended)
        # Minus the signal: it came behind the last line that could answer.
        hold(ended.code in (0, 128 + signal.SIGTERM, -signal.SIGTERM), f"{what}: {ended.last()}")
        left = [path.name for path in attempt.folder.iterdir() if ended.code > 0 and not path.name.endswith(".lock")]
        hold(not left, f"{what}: left {left}")
        again = command(verb.again(attempt.folder), attempt.folder)
        done = ended.code <= 0 and again.code == 2 and "exists and is not empty" in again.err
        hold(again.code == 0 or done, f"{what}: what is typed next does not end well, {again.last()}")
        hold(verb.made(attempt.folder) == known, f"{what}: not equal to what an uninterrupted {verb.name} makes")
        return "ended as if alone" if ended.code == 0 else "interrupted, then equal"

    return Case(f"SIGTERM at any line of {verb.name}, of libraries too", 200, attempt)


def _from_step(step: int, listen: Act) -> Callable[[], None]:
    """Listens from the `step`-th update on: a trace of the whole run would take a minute."""
    return at_call(UPDATE, step, listen)
