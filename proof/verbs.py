"""SIGKILL and Ctrl-C in every other verb that writes: the same command again makes what it must, nothing is half."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from chainrule.run import read_rows
from proof.bench import Bench
from proof.case import Attempt, Case, hold
from proof.child import command, start
from proof.tiny import copied, fingerprint, flags, no_traceback
from proof.triggers import at_file_operation, counting_operations, drawn, kill

Made = dict[str, str]


@dataclass(frozen=True)
class Verb:
    """A command that writes: what stands in the folder before, what is typed, again after a kill, and what it made."""

    name: str
    lay: Callable[[Path], None]
    words: Callable[[Path], Sequence[str]]
    again: Callable[[Path], Sequence[str]]
    made: Callable[[Path], Made]
    total: int = 10
    quick: int = 0
    before: Callable[[], None] = lambda: None
    """Called in the command's process, ahead of it."""
    step_bytes: int = 8 << 10
    """Between two of the sizes of a disk: what it needs beyond the floor is within forty-eight of them."""


def verbs(bench: Bench) -> Iterator[Case]:
    """Each verb with its kills."""
    for verb in verbs_that_write(bench):
        yield _case(bench, verb)


def _case(bench: Bench, verb: Verb) -> Case:
    known: dict[str, object] = {}

    def attempt(attempt: Attempt) -> str:
        if not known:
            known.update(_straight(bench, verb))
        operations = known["operations"]
        assert isinstance(operations, int)
        verb.lay(attempt.folder)
        trigger = at_file_operation(attempt.folder, drawn(attempt.chance, operations), kill)
        ended = command(verb.words(attempt.folder), attempt.folder, before=trigger)
        hold(ended.code == -9, f"no kill came to anything, {ended.last()}")
        again = command(verb.again(attempt.folder), attempt.folder)
        no_traceback(again)
        # The kill may have come when all was done: then nothing is overwritten, and what is there must be whole.
        done = again.code == 2 and "exists and is not empty" in again.err
        hold(again.code == 0 or done, f"what is typed next does not end well, {again.last()}")
        made = verb.made(attempt.folder)
        other = sorted(
            name for name in made.keys() | known.keys() - {"operations"} if made.get(name) != known.get(name)
        )
        hold(not other, f"not equal to what an uninterrupted {verb.name} makes: {', '.join(other)}")
        return "equal"

    return Case(f"kills in {verb.name}", verb.total, attempt, quick=verb.quick)


def interrupted_verbs(bench: Bench) -> Iterator[Case]:
    """Ctrl-C at instants of a clock, in verbs that take long: told in a word, and what is typed next makes the same."""
    for verb in (*verbs_that_write(bench), tune_verb(bench)):
        if verb.name in ("prepare", "finetune", "export hf", "export gguf", "report", "tune"):
            yield _interrupted(bench, verb)


def _interrupted(bench: Bench, verb: Verb) -> Case:
    known: Made = {}
    took: list[float] = []

    def straight() -> None:
        place = bench.folder / f"interrupted {verb.name}"
        place.mkdir(exist_ok=True)
        verb.lay(place)
        began = time.monotonic()
        ended = command(verb.words(place), place, before=verb.before)
        took.append(time.monotonic() - began)
        hold(ended.code == 0, f"the uninterrupted {verb.name} does not end well, {ended.last()}")
        known.update(verb.made(place))

    def attempt(attempt: Attempt) -> str:
        if not took:
            straight()
        verb.lay(attempt.folder)
        child = start(verb.words(attempt.folder), attempt.folder, before=verb.before)
        time.sleep(attempt.chance.uniform(0, took[0]))
        os.kill(child.pid, signal.SIGINT)
        ended = child.wait()
        no_traceback(ended)
        # Minus the signal: it came before the command had set anything, as in the first instants of a process.
        hold(ended.code in (0, 130, -signal.SIGINT), f"Ctrl-C: {ended.last()}")
        again = command(verb.again(attempt.folder), attempt.folder, before=verb.before)
        no_traceback(again)
        done = again.code == 2 and "exists and is not empty" in again.err
        hold(again.code == 0 or done, f"what is typed next does not end well, {again.last()}")
        made = verb.made(attempt.folder)
        other = sorted(name for name in made.keys() | known.keys() if made.get(name) != known.get(name))
        hold(not other, f"not equal to what an uninterrupted {verb.name} makes: {', '.join(other)}")
        return "ended as if alone" if ended.code == 0 else "interrupted, then equal"

    return Case(f"Ctrl-C in {verb.name}", 20, attempt)


def tune_verb(bench: Bench) -> Verb:
    """What it chooses hangs on the time that trials take; that it chooses, and leaves nothing half, does not."""

    def words(place: Path) -> list[str]:
        search = place / "search"
        if (search / "base.toml").is_file():
            return ["tune", "--resume", str(search), "--minutes", "3"]
        settings = flags(machine__cache=str(place / "cache"))
        at = settings.index("--training.steps")
        return [
            "tune",
            str(bench.texts),
            "--minutes",
            "3",
            "--name",
            str(search),
            *settings[:at],
            *settings[at + 2 :],
        ]

    def made(place: Path) -> Made:
        page = (place / "search" / "tune.html").read_text("utf-8")
        hold(page.rstrip().endswith("</html>") and (place / "search" / "tuned.toml").is_file(), "it is not whole")
        left = [path.name for path in (place / "search").iterdir() if path.name.startswith(".")]
        return {"page": "whole", "left": str(left)}

    def few_and_short() -> None:
        from chainrule.tune import planning, trials

        vars(planning).update(_affordable=lambda *_: (12, (1, 0, 2)), STEPS=16)
        vars(trials).update(MOST_PAIRS=2)

    # It asks for room for six checkpoints, two MiB beyond the floor.
    return Verb("tune", lambda place: None, words, words, made, before=few_and_short, step_bytes=64 << 10)


def _straight(bench: Bench, verb: Verb) -> dict[str, object]:
    """What the verb makes when nobody kills it, and how many operations on files it takes."""
    place, told = bench.folder / f"verb {verb.name}", bench.folder / f"operations of {verb.name}"
    place.mkdir(exist_ok=True)
    verb.lay(place)
    ended = command(verb.words(place), place, before=counting_operations(place, told))
    hold(ended.code == 0, f"the uninterrupted {verb.name} does not end well, {ended.last()}")
    return {**verb.made(place), "operations": len(told.read_text().splitlines())}


def verbs_that_write(bench: Bench) -> Iterator[Verb]:
    """Every verb that writes, but for those that train a text from its beginning."""
    straight, texts = bench.straight, bench.texts

    def run_copy(place: Path) -> None:
        copied(straight, place / "run")

    def nothing(place: Path) -> None:
        """An empty folder."""

    def prepare(place: Path) -> list[str]:
        return ["prepare", str(texts), *flags(machine__cache=str(place / "cache"))]

    yield Verb("prepare", nothing, prepare, prepare, lambda place: _files(place / "cache", "*/*.safetensors"))

    def fork(place: Path) -> list[str]:
        run = place / "fork"
        if (run / "config.toml").is_file():
            return ["pretrain", "--resume", str(run)]
        return ["pretrain", "--fork", f"{straight}@9", "--name", str(run), "--optimizer.lr", "0.005"]

    yield Verb("pretrain --fork", nothing, fork, fork, lambda place: fingerprint(place / "fork"))

    def examples(place: Path) -> None:
        rows = [{"prompt": f"the {number} man", "completion": "said that we"} for number in range(24)]
        (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def finetune(place: Path) -> list[str]:
        run = place / "taught"
        if (run / "metrics.jsonl").is_file() or (run / "checkpoints").is_dir():
            return ["finetune", "--resume", str(run)]
        more = ("--no-probe", "--rank", "4", "--epochs", "2", "--machine.threads", "1", "--name", str(run))
        return ["finetune", str(straight), str(place / "rows.jsonl"), *more, "--training.save-every", "1"]

    yield Verb("finetune", examples, finetune, finetune, lambda place: fingerprint(place / "taught"))

    def export(place: Path) -> list[str]:
        return ["export", "hf", str(straight), str(place / "out")]

    yield Verb("export hf", nothing, export, export, lambda place: _files(place, "out/*"))

    def gguf(place: Path) -> list[str]:
        return ["export", "gguf", str(straight), str(place / "out")]

    if find_spec("gguf"):
        yield Verb("export gguf", nothing, gguf, gguf, lambda place: _files(place, "out/*"))

    def report(place: Path) -> list[str]:
        return ["report", str(place / "run")]

    yield Verb("report", run_copy, report, report, _whole_page)

    def evaluate(place: Path) -> list[str]:
        return ["evaluate", str(place / "model"), "--on", str(place / "run")]

    def model(place: Path) -> None:
        run_copy(place)
        ended = command(["export", "hf", str(straight), str(place / "model")], place)
        hold(ended.code == 0, ended.last())

    def anchors(place: Path) -> Made:
        rows = [row.get("bits_per_byte") for row in read_rows(place / "run" / "anchors.jsonl")]
        return {"anchors": str(rows[-1:])}

    yield Verb("evaluate --on", model, evaluate, evaluate, anchors)

    def prune(place: Path) -> list[str]:
        return ["runs", "prune", str(place / "run"), "--optimizer", "--yes"]

    yield Verb(
        "runs prune",
        run_copy,
        prune,
        prune,
        lambda place: _files(place / "run" / "checkpoints", "**/*"),
        quick=1,
        total=30,
    )

    def two(place: Path) -> None:
        for name in ("a", "b"):
            copied(bench.straight if name == "a" else _other(bench), place / name)

    def compare(place: Path) -> list[str]:
        return ["compare", str(place / "a"), str(place / "b"), "--seeds", "2"]

    def seeds(place: Path) -> Made:
        runs = sorted(place.glob("*-seed-*"))
        return {f"{run.name} {name}": value for run in runs for name, value in fingerprint(run).items()}

    yield Verb("compare --seeds", two, compare, compare, seeds, total=8)


def _other(bench: Bench) -> Path:
    run = bench.folder / "other" / "run"
    return run if run.is_dir() else bench.run_of("other", optimizer__lr="0.002")


def _files(folder: Path, pattern: str) -> Made:
    """Hashes of the files that the pattern finds; what a kill left under a name of its own counts too."""
    found = [path for path in folder.glob(pattern) if path.is_file()]
    stumps = [path for path in folder.iterdir() if path.name.startswith(".") and not path.name.endswith(".lock")]
    hold(not stumps or not found, f"left behind: {[path.name for path in stumps]}")
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in found}


def _whole_page(place: Path) -> Made:
    page = (place / "run" / "report.html").read_text("utf-8")
    hold(page.rstrip().endswith("</html>"), "the page is not whole")
    left = [path.name for path in (place / "run").iterdir() if path.name.startswith(".")]
    return {"page": "whole", "left": str(left)}
