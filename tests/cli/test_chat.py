"""`chainrule chat` as a person and a program meet it: through a pipe, and in a terminal."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from talking import base, instructed, saved

from chainrule.checkpoint import open_model
from chainrule.cli import main
from chainrule.generate import ChatSettings
from chainrule.generate.chat import Chat

CHAT = [sys.executable, "-m", "chainrule", "chat"]


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A folder with an instructed model, a base model, and an instructed one that writes long answers."""
    folder = tmp_path_factory.mktemp("models")
    saved(instructed(), folder / "instructed")
    saved(instructed(context_length=8192), folder / "long")
    saved(base(), folder / "base")
    return folder


def piped(monkeypatch, capsys, arguments: list[str], typed: bytes) -> tuple[int, str, str]:
    """The exit code, and what was written on standard output and standard error."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed), encoding="utf-8"))
    code = main(["chat", *arguments])
    return code, *capsys.readouterr()


def test_through_a_pipe_each_line_is_a_turn_and_only_answers_are_on_standard_output(models, tmp_path):
    script = f'the cat\n/speed\nsat on\\\nthe mat\n/save {tmp_path}/talk.jsonl\n"""\nand\nate\n"""\n'
    call = [*CHAT, f"{models}/instructed", "--temperature", "0", "--max-new-tokens", "8"]
    done = subprocess.run(call, input=script, capture_output=True, text=True, timeout=60)
    chat = Chat(open_model(models / "instructed"), ChatSettings(0, 8))
    expected = ["".join(chat.say(text)) for text in ("the cat", "sat on\nthe mat", "and\nate")]
    assert done.stdout.split("\n") == [*expected, ""] and done.returncode == 0
    assert "> " not in done.stderr and "tokens read in" in done.stderr
    assert len(json.loads((tmp_path / "talk.jsonl").read_text())["messages"]) == 4


def test_a_line_that_is_refused_is_said_and_the_next_is_answered(models, monkeypatch, capsys):
    typed = b"/retyr\nthe \xff\xfe\x00 cat\n/quit\nnever\n"
    code, out, err = piped(monkeypatch, capsys, [f"{models}/instructed", "--max-new-tokens", "4"], typed)
    assert code == 2 and out.count("\n") == 1
    assert "chainrule: /retyr is no command. Did you mean '/retry'?" in err and "Traceback" not in err


def test_a_base_model_is_offered_as_completion_and_says_so(models, monkeypatch, capsys):
    call = [f"{models}/base", "--max-new-tokens", "4", "--stats"]
    code, out, err = piped(monkeypatch, capsys, call, b"the cat\n\n")
    assert code == 0 and out.count("\n") == 2
    assert "a base model, without a chat template" in err and "(cut after 4 tokens" in err
    assert err.count("tokens read in") == 2


def test_what_a_model_writes_cannot_steer_the_terminal(models, monkeypatch, capsys):
    monkeypatch.setattr("chainrule.cli.output.printable", lambda text: f"<{text}>")
    call = [f"{models}/instructed", "--max-new-tokens", "3"]
    code, out, _ = piped(monkeypatch, capsys, call, b"the \x1b[31m cat\n")
    assert code == 0 and re.fullmatch(r"(<[^<>]*>)+\n", out)


def test_a_reader_who_leaves_ends_the_talk_quietly(models):
    with subprocess.Popen([*CHAT, f"{models}/long"], stdin=-1, stdout=-1, stderr=-1) as process:
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        assert process.stdout.read(5)
        process.stdout.close()
        told = process.stderr.read().decode()
    assert process.returncode == 0 and "Traceback" not in told and "Exception ignored" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/base", "--system", "x"], "a base model has no system prompt"),
        (["{}/instructed", "--temperature", "-1"], "temperature=-1.0 is out of range"),
        (["{}/instructed", "--max-new-tokens", "0"], "at least 1"),
        (["{}/absent"], "absent"),
        (["{}/base", "--device", "cud"], "'cuda'"),
    ],
)
def test_a_mistake_in_the_call_is_one_message(models, arguments, message, capsys):
    assert main(["chat", *(word.format(models) for word in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and "Traceback" not in err


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, *arguments: str):
        self._ours, theirs = os.openpty()
        quiet = {**os.environ, "TERM": "dumb"}
        self.process = subprocess.Popen([*CHAT, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=quiet)
        os.close(theirs)
        self.shown = ""

    def wait_for(self, pattern: str) -> str:
        """What was shown until the pattern came, which is taken away."""
        until = time.monotonic() + 60
        while not (found := re.search(pattern, self.shown)):
            assert time.monotonic() < until, f"{pattern!r} did not come: {self.shown!r}"
            self.look(0.2)
        before, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return before

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C; once more where it came before Python waited for a line, and was slept through."""
        while "(stopped" not in self.shown:
            self.process.send_signal(signal.SIGINT)
            self.look(2)
        self.wait_for("> $")

    def look(self, seconds: float) -> None:
        """Reads what is shown, as soon as something is."""
        if select.select([self._ours], [], [], seconds)[0]:
            self.shown += os.read(self._ours, 65536).decode(errors="replace")

    def close(self) -> int:
        code = self.process.wait(30)
        os.close(self._ours)
        return code


def test_in_a_terminal_an_answer_is_stopped_by_ctrl_c_and_the_talk_goes_on(models, tmp_path):
    terminal = Terminal(f"{models}/long", "--temperature", "0", "--max-new-tokens", "8000")
    assert "/help tells what can be typed" in terminal.wait_for("> $")
    terminal.type("the cat\n")
    terminal.wait_for(r"the cat\r\n")
    terminal.wait_for(r".{20}")
    terminal.interrupt()
    terminal.interrupt()  # at the prompt it takes back what was typed, and nothing else
    terminal.type(f"/save {tmp_path}/talk.jsonl\n")
    terminal.wait_for("saved")
    first, second = json.loads((tmp_path / "talk.jsonl").read_text())["messages"]
    assert first == {"role": "user", "content": "the cat"} and len(second["content"]) >= 20
    terminal.wait_for("> $")
    terminal.type("/help\n")
    terminal.wait_for("/retry")
    terminal.wait_for("> $")
    terminal.type("\x04")
    assert terminal.close() == 0
