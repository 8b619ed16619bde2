"""The verbs: which there are, how one is found, and what is said of one that is typed wrongly.

Verbs are named by strings and imported when they are called, so that `chainrule --help` stays fast.
"""

import re
from collections.abc import Sequence

from cyclopts import (
    App,
    Argument,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from chainrule import __version__
from chainrule.base import ConfigError, DeviceError, World, address_space_limit, bytes_text
from chainrule.cli.lens import instruments
from chainrule.cli.meant import flag_meant, verb_meant, word_meant

VERBS = {
    "quickstart": "Train a small GPT in five minutes on a text that is at hand, and show it.",
    "pretrain": "Train a language model on your text.",
    "tune": "Look for a better learning rate and batch by short trainings.",
    "ladder": "Foretell a larger model from small ones on your text, and train it to see.",
    "finetune": "Teach a trained model by your own examples.",
    "prepare": "Read and tokenize a text once, for all runs on it.",
    "generate": "Let a model write.",
    "chat": "Talk to a model.",
    "serve": "Offer a model to other programs, by OpenAI's interface.",
    "conformance": "Try a server against the contract of OpenAI's interface.",
    "evaluate": "Measure a model on held-out text.",
    "classify": "Teach a model to tell texts apart, and judge it.",
    "verify": "Prove a run: every checksum, and a stretch of it made again, bit for bit.",
    "report": "Write a run's report: one HTML page.",
    "runs": "List runs, show one, remove some.",
    "watch": "Watch runs in the browser while they go on, or save them as one page.",
    "log": "Tell a run to TensorBoard, trackio or Weights & Biases.",
    "compare": "Hold runs against each other, and tell noise from difference.",
    "lens": "See tensors, the graph and every gradient, and prove them.",
    "export": "Write a model in the format of other tools.",
    "plan": "Parameters, operations, memory and time, before anything is trained.",
    "rehearse": "Try a layout of many ranks here, with a tiny model: losses, kills, restarts.",
    "doctor": "Look at this machine and what is installed, and say what a run will meet.",
    "bench": "Measure how fast this machine trains, decodes and starts, beside peers.",
    "cache": "List prepared text that is kept, and remove it.",
    "config": "Show all settings, where they come from and what they do.",
}
# These load torch, which asks for so much of addresses (with one thread 0.86 GB, Linux and torch 2.13) and ends the
# process by std::bad_alloc, which nobody can catch, where it does not get them.
COMPUTING = (
    *("quickstart", "pretrain", "tune", "finetune", "prepare", "generate", "chat", "serve", "evaluate", "classify"),
    *("verify", "report", "export", "bench", "compare"),
)
LEAST_ADDRESSES = 1 << 30
SUB_APPS = ("runs", "lens", "cache", "config")

HELP_FLAGS = ("--help", "-h")
HELP = """Pretrain a language model from raw text.

Begin with `chainrule quickstart`, or with your own text: `chainrule pretrain my_texts/ --minutes 5`.
"""


def command_line(called: str | None = None, below: Sequence[str] = ()) -> App:
    """The application; only the verb that is `called` tells its whole help, and only it is imported.

    `below` are the words after it: of the instruments of the lens only the one called tells its whole help.
    """
    app = App(
        name="chainrule",
        help=HELP,
        help_epilogue="`chainrule VERB --help` has examples. `--debug` adds the traceback to an error.",
        version=__version__,
        help_format="markdown",
        print_error=False,
        exit_on_error=False,
        suppress_keyboard_interrupt=False,
        result_action="return_value",
    )
    for place, (verb, sentence) in enumerate(VERBS.items()):
        if verb == called == "lens":
            app.command(instruments(below, place))
            continue
        target = f"chainrule.cli.{verb}:{'app' if verb in SUB_APPS else verb}"
        app.command(target, name=verb, help=None if verb == called else sentence, sort_key=place)
    return app


def call(given: list[str]) -> int:
    """Calls the verb and returns its exit code; raises ConfigError for words that are none, in the settings' words."""
    if given[:1] == ["help"]:
        given = [*given[1:], "--help"]
    place = next((at for at, word in enumerate(given) if word in VERBS), len(given))
    called = given[place] if place < len(given) else None
    _refuse_few_addresses(called, given)
    _refuse_many(called)
    try:
        app = command_line(called, given[place + 1 :])
        if place == 0 and called not in SUB_APPS and asks_for_help(given):
            # Called, the parser would read all options of the verb once more before it prints them: 0.1 s.
            app.help_print([word for word in given if word not in HELP_FLAGS])
            return 0
        code = app(given)
    except CycloptsError as fault:
        raise ConfigError(_usage_mistake(fault)) from fault
    return code if isinstance(code, int) else 0


def _refuse_few_addresses(called: str | None, given: Sequence[str]) -> None:
    most = address_space_limit()
    if called in COMPUTING and most is not None and most < LEAST_ADDRESSES and not {"--help", "-h"} & set(given):
        raise DeviceError(
            f"out of memory: this process may use {bytes_text(most)} of addresses (`ulimit -v`), and `chainrule "
            f"{called}` needs {bytes_text(LEAST_ADDRESSES)} for its libraries alone; allow more, as by "
            "`ulimit -v unlimited`, and limit memory by a control group (`systemd-run --user -p MemoryMax=…`) instead"
        )


def _refuse_many(called: str | None) -> None:
    """One of several processes would do the same as all others, in one folder."""
    if called in COMPUTING and called != "pretrain" and (size := World.of().size) > 1:
        raise ConfigError(
            f"`chainrule {called}` is for one process, and {size} were started; only `pretrain` goes on several"
        )


def asks_for_help(given: Sequence[str]) -> bool:
    """Whether a flag of help stands before `--`, behind which nothing is one."""
    end = given.index("--") if "--" in given else len(given)
    return any(word in HELP_FLAGS for word in given[:end])


def _usage_mistake(fault: CycloptsError) -> str:
    """What cyclopts says, without a developer's preamble, and what was probably meant."""
    fault.verbose = False
    command = " ".join(["chainrule", *(fault.command_chain or ())])
    if isinstance(fault, UnknownOptionError):
        word = fault.token.keyword or fault.token.value
        flags = {name for one in fault.argument_collection if one.parse for name in one.names}
        message = f"unknown option {word}. {flag_meant(word, flags)}".rstrip()
    elif isinstance(fault, UnknownCommandError) and fault.unused_tokens and not fault.command_chain:
        word = fault.unused_tokens[0]
        message = f"unknown verb {word!r}. {verb_meant(word, VERBS)}"
    elif isinstance(fault, UnknownCommandError) and fault.unused_tokens and fault.app:
        word, words = fault.unused_tokens[0], [name for name in fault.app if name[0] != "-"]
        meant = word_meant(word, fault.command_chain or (), words)
        message = f"{command} knows no {word!r}. {meant or 'It has ' + ', '.join(words)}"
    elif isinstance(fault, UnusedCliTokensError) and fault.unused_tokens and fault.app:
        word = fault.unused_tokens[0]
        message = f"unexpected word {word!r}. {word_meant(word, fault.command_chain or (), fault.app)}".rstrip()
    elif isinstance(fault, MissingArgumentError) and fault.argument is not None:
        message = _missing(fault, fault.argument)
    else:
        message = str(fault)
    return f"{message}\nSee `{command} --help`."


def _missing(fault: MissingArgumentError, argument: Argument) -> str:
    """Which argument is not there, what it is, and an example out of the verb's own help."""
    about = (argument.parameter.help or "").split(". ")[0].strip().rstrip(".")
    what = f" ({about[:1].lower()}{about[1:]})" if about else ""
    found = re.search(r"`(chainrule [^`]+)`", getattr(fault.target, "__doc__", None) or "")
    example = f"; for example: {found[1]}" if found else ""
    return f"{argument.name.lstrip('-')} is missing{what}{example}"
