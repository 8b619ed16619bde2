"""The commands of a session of turns: `/retry`, `/system TEXT`, …, and what becomes of anything that is typed."""

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from chainrule.base import ConfigError, nearest, write_bytes
from chainrule.generate.chat import Chat
from chainrule.generate.entries import Entry
from chainrule.generate.talk import Talk

MULTI_LINE = r'A line that ends in \ goes on in the next; """ begins and ends a text of several lines.'
NO_COMMAND = 'a text that begins with a slash goes in """triple quotes"""'


Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Remark:
    """Something to say to the person; no text of the model."""

    text: str


@dataclass(frozen=True)
class Answer:
    """A text of the model, which is written while it is read."""

    pieces: Generator[str, None, None]


@dataclass(frozen=True)
class Leave:
    """The session is over."""


Outcome = Remark | Answer | Leave


@dataclass(frozen=True)
class Command:
    """What a word after a slash does; `takes` names its argument, which is left out where there is none."""

    takes: str
    sentence: str
    act: Callable[[Talk, str], Outcome]


def respond(session: Talk, entry: Entry) -> Outcome:
    """What becomes of an entry. Raises ConfigError for a command that is none (with the nearest) or cannot be done."""
    if entry.literal or not entry.text.startswith("/"):
        if isinstance(session, Chat) and not entry.text.strip():
            return Remark("")
        return Answer(session.say(entry.text))
    word, _, argument = entry.text.removeprefix("/").partition(" ")
    word, argument = word.strip(), argument.strip()
    command = COMMANDS.get(word)
    if command is None:
        raise ConfigError(f"/{word} is no command.{_nearest_command(word)} /help lists them; {NO_COMMAND}")
    if argument and not command.takes:
        raise ConfigError(f"/{word} takes nothing after it, and was given {argument!r}")
    return command.act(session, argument)


def _nearest_command(word: str) -> str:
    return nearest(f"/{word}", (f"/{name}" for name in COMMANDS))


def _help(session: Talk, argument: str) -> Outcome:
    rows = [(f"/{name} {command.takes}".rstrip(), command.sentence) for name, command in COMMANDS.items()]
    width = max(len(called) for called, _ in rows)
    lines = [f"  {called.ljust(width)}  {sentence}" for called, sentence in rows]
    return Remark("\n".join([*lines, MULTI_LINE, "Ctrl-C ends an answer, Ctrl-D the session."]))


def _retry(session: Talk, argument: str) -> Outcome:
    return Answer(session.again())


def _system(session: Talk, argument: str) -> Outcome:
    if not argument:
        return Remark(session.system or "no system prompt; /system TEXT sets one")
    session.system = "" if argument == "off" else argument
    return Remark("from the next answer on")


def _temperature(session: Talk, argument: str) -> Outcome:
    value = _number(argument, float, "/temperature takes a number from 0 (always the likeliest) on, such as 0.7")
    session.settings = replace(session.settings, temperature=value)
    return Remark("from the next answer on")


def _seed(session: Talk, argument: str) -> Outcome:
    session.seeded(_number(argument, int, "/seed takes a whole number"))
    return Remark("from the next answer on")


def _speed(session: Talk, argument: str) -> Outcome:
    return Remark(session.last.speed() if session.last else "nothing was written yet")


def _save(session: Talk, argument: str) -> Outcome:
    if not argument:
        raise ConfigError("/save takes the name of a file, such as /save talk.jsonl")
    save(session, Path(argument).expanduser())
    return Remark(f"saved: {argument}")


def _new(session: Talk, argument: str) -> Outcome:
    session.new()
    return Remark("a new beginning")


def _quit(session: Talk, argument: str) -> Outcome:
    return Leave()


COMMANDS = {
    "help": Command("", "What can be typed.", _help),
    "retry": Command("", "Another answer in the place of the last one.", _retry),
    "system": Command("TEXT", "What the model is told before everything else; off for nothing.", _system),
    "temperature": Command("X", "Below 1 bolder, above 1 wilder; 0 takes the likeliest token each time.", _temperature),
    "seed": Command("N", "Draw as a session with this seed would.", _seed),
    "speed": Command("", "Tokens per second of the last answer.", _speed),
    "save": Command("FILE", "Write what was said as JSON lines, which `chainrule finetune` reads.", _save),
    "new": Command("", "Forget what was said.", _new),
    "quit": Command("", "Leave.", _quit),
}


def save(session: Talk, path: Path) -> None:
    """Writes what was said to a new file of JSON lines, whole or not at all; see `rows`.

    Raises ConfigError where nothing was said, where the file exists or its folder does not, DiskError for a full disk.
    """
    rows = session.rows()
    if not rows:
        raise ConfigError("nothing was said yet that could be saved")
    if path.exists() or path.is_symlink():
        raise ConfigError(f"{path} exists and stays as it is; give another name")
    if not path.parent.is_dir():
        raise ConfigError(f"{path.parent} is no folder; make it, or give another")
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    # A lone surrogate becomes JSON's own escape for it, as in every file that we write.
    write_bytes(path, lines.encode("utf-8", "backslashreplace"))


def _number(text: str, kind: Callable[[str], Number], allowed: str) -> Number:
    try:
        return kind(text)
    except ValueError as fault:
        raise ConfigError(f"{allowed}; not {text!r}") from fault
