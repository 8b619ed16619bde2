"""`chainrule chat`: talk to a model in the terminal, or line by line through a pipe."""

import io
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from chainrule.base import UserError
from chainrule.cli.again import RAISED
from chainrule.cli.generate import say_passed_over
from chainrule.cli.loading import load_torch
from chainrule.cli.named import named
from chainrule.cli.options import Device, device_setting
from chainrule.cli.output import put, say
from chainrule.show import printable

if TYPE_CHECKING:
    from chainrule.generate import Answer, Talk


def chat(
    source: str | None = None,
    /,
    *,
    system: str = "",
    temperature: float | None = None,
    max_new_tokens: int = 1024,
    repetition_penalty: float | None = None,
    seed: int = 0,
    stats: bool = False,
    device: Device = None,
) -> int:
    r"""Talk to a model. Ctrl-C ends an answer, Ctrl-D the conversation; `/help` tells what else can be typed.

    For example:

    - `chainrule chat smollm2`
    - `chainrule chat runs/NAME --system "Answer in one word."`
    - `echo "What is the capital of France?" | chainrule chat smollm2 --temperature 0`

    A model without a chat template (a base model) does not answer: it goes on with what you write. Through a pipe each
    line is a turn, only answers stand on standard output, and the exit code is 2 when a line was refused.

    Parameters
    ----------
    source
        A run folder, a checkpoint, a Hugging Face folder, or a name on the hub. Default: `last`, the newest run.
    system
        What the model is told before everything else.
    temperature
        Below 1 bolder, above 1 wilder; 0 takes the likeliest token each time. Default: 0.2 where there is a chat
        template, else by the model's size.
    max_new_tokens
        Most tokens of an answer.
    repetition_penalty
        Above 1, tokens that are in the conversation already become less likely: small models repeat themselves.
    seed
        The same seed and the same words give the same answers.
    stats
        After each answer, how many tokens were read and written, and how fast.
    """
    wanted = device_setting(device).device
    source = named(source or "last")
    say(f"opening {printable(source)} …")
    load_torch()
    from chainrule.generate import ChatSettings, open_talk

    settings = ChatSettings(temperature, max_new_tokens, seed, repetition_penalty)
    session = open_talk(source, wanted, settings=settings, system=system)
    say_passed_over(session.model.passed_over, session.model.origin, session.model.unchecked)
    say(session.greeting)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # bytes that are no text are no reason to end a conversation
    if sys.stdin.isatty():
        say("/help tells what can be typed; Ctrl-D leaves.")
        return _talk(session, stats=stats)
    return _piped(session, stats=stats)


def _talk(session: "Talk", *, stats: bool) -> int:
    """With a person: whatever is refused or interrupted, the conversation goes on."""
    if sys.platform != "win32":
        # A line can be edited, and earlier ones fetched; Windows does that by itself, and some builds of Python cannot.
        with suppress(ImportError):
            import readline  # noqa: F401
    while True:
        try:
            if not _turn(session, stats=stats):
                return 0
        except KeyboardInterrupt:
            RAISED.answered()
            say("", "(stopped; Ctrl-D or /quit leaves)")
        except UserError as refusal:
            say(f"chainrule: {printable(refusal)}")


def _piped(session: "Talk", *, stats: bool) -> int:
    """From a program: what is refused is said, and remembered in the exit code."""
    code = 0
    while True:
        try:
            if not _turn(session, stats=stats):
                return code
        except UserError as refusal:
            say(f"chainrule: {printable(refusal)}")
            code = refusal.exit_code


def _turn(session: "Talk", *, stats: bool) -> bool:
    """Reads an entry and does what it asks; false when the session is over."""
    from chainrule.generate import Answer, Leave, Remark, read_entry, respond

    n_forgotten = session.n_forgotten
    entry = read_entry(_line)
    if entry is None:
        return False
    match respond(session, entry):
        case Leave():
            return False
        case Remark(text=text):
            say(*text.split("\n"))
        case Answer() as answer:
            if session.n_forgotten > n_forgotten:
                say(f"(the context is full: the model no longer sees the oldest {session.n_forgotten} messages)")
            _write(answer)
            _say_ending(session, stats=stats)
    return True


def _write(answer: "Answer") -> None:
    """Prints an answer as it comes, with a line break behind it, however it ends."""
    with closing(answer.pieces) as pieces:
        for piece in pieces:
            put(piece, end="")
    put()


def _say_ending(session: "Talk", *, stats: bool) -> None:
    last = session.last
    if last and last.ended == "length":
        say(f"(cut after {last.n_written:,} tokens: --max-new-tokens, or the end of the context)")
    if last and stats:
        say(last.speed())


def _line(prompt: str) -> str | None:
    """A line of standard input, None at its end; a prompt is shown to persons only, and never on a piped output."""
    if sys.stdin.isatty() and sys.stdout.isatty():
        try:
            return input(prompt)
        except EOFError:
            put()
            return None
    if sys.stdin.isatty():
        say(prompt, end="")
    line = sys.stdin.readline()
    return line.removesuffix("\n") if line else None
