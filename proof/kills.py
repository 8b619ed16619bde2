"""SIGKILL by progress: at any operation on files, inside saves, in every line of an update; then on to the end."""

from collections.abc import Iterator
from pathlib import Path

from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import command
from proof.tiny import acknowledged, finish_run, go_on, hold_equal, hold_whole, new
from proof.triggers import at_file_operation, at_line, counting_operations, drawn, kill

# Kills on the way of one run, before it may go to its end.
KILLS = 4
SAVING = "/.new-step-"


def kills(bench: Bench) -> Iterator[Case]:
    """Runs that are killed four times and then taken to their end."""
    operations = operations_of(bench)
    n_saving = sum(SAVING in path for path in operations)

    def anywhere(attempt: Attempt) -> str:
        return _killed(bench, attempt, len(operations), "")

    def in_saves(attempt: Attempt) -> str:
        return _killed(bench, attempt, n_saving // 2, SAVING)

    def in_updates(attempt: Attempt) -> str:
        return _killed_in_updates(bench, attempt)

    yield Case("4 kills at any operation on a file", 40, anywhere, quick=0)
    yield Case("4 kills inside saves", 40, in_saves, quick=1)
    yield Case("4 kills at lines of an update", 10, in_updates, quick=0)


def operations_of(bench: Bench) -> list[str]:
    """The path of each operation on files of the straight run."""
    run, told = bench.folder / "counted" / "run", bench.folder / "operations"
    if not told.exists():
        run.parent.mkdir()
        ended = command(new(bench.texts, run), run.parent, before=counting_operations(run, told))
        hold(ended.code == 0, f"the counted run did not end well, {ended.last()}")
    return told.read_text().splitlines()


def _killed(bench: Bench, attempt: Attempt, most: int, inside: str) -> str:
    run, n_killed, saved = attempt.folder / "run", 0, 0
    for _ in range(KILLS):
        # A resume has fewer operations left than the first start: what is beyond its end kills nothing.
        number = drawn(attempt.chance, most // (1 + n_killed))
        trigger = at_file_operation(run, number, kill, inside=inside)
        ended = command(go_on(bench.texts, run), run.parent, before=trigger)
        saved = _hold_killed(run, ended.said, ended.code, saved)
        n_killed += ended.code == -9
    hold(n_killed, "no kill came to anything")
    finish_run(bench.texts, run)
    hold_equal(bench.equal_to, run, aside=())
    return f"after {n_killed} kills"


def _killed_in_updates(bench: Bench, attempt: Attempt) -> str:
    run, n_killed, saved = attempt.folder / "run", 0, 0
    for _ in range(KILLS):
        trigger = at_line("chainrule.train.loop:update", drawn(attempt.chance, 1500), kill)
        ended = command(go_on(bench.texts, run), run.parent, before=trigger)
        saved = _hold_killed(run, ended.said, ended.code, saved)
        n_killed += ended.code == -9
    finish_run(bench.texts, run)
    hold_equal(bench.equal_to, run, aside=())
    return f"after {n_killed} kills"


def _hold_killed(run: Path, said: str, code: int, saved: int) -> int:
    """The step that is saved now; what was said to be saved is there."""
    hold(code in (0, -9), f"exit code {code}: …{said[-700:]}")
    hold("Traceback" not in said, f"a traceback: …{said[-700:]}")
    return hold_whole(run, max(saved, acknowledged(said))) if (run / "checkpoints").is_dir() else 0
