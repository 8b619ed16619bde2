"""Readers of foreign bytes: a few inputs of what `python -m proof.fuzz` does for as long as it is let."""

import base64
import math
import os
import signal
import sys
import time

import pytest

from chainrule.base import ConfigError
from proof import fuzz
from proof.fuzz_child import Board, in_child
from proof.fuzz_targets import TARGETS, Target

N_INPUTS = 25


@pytest.fixture(scope="module", params=TARGETS)
def target(request, tmp_path_factory) -> Target:
    return TARGETS[request.param](tmp_path_factory.mktemp(request.param))


def test_a_reader_takes_what_is_sound_and_nothing_else_but_refuses_the_rest(target, monkeypatch):
    # How long an input takes is for the long run to judge, on a machine of its own.
    monkeypatch.setattr(fuzz, "MOST_SECONDS", math.inf)
    for content in target.seeds:
        target.read(content)
    row = fuzz.by_hypothesis(target, math.inf, seed=0, most=N_INPUTS)
    assert row.tried == N_INPUTS and row.finds == []


def of(read) -> fuzz.Row:
    return fuzz.by_hypothesis(Target("planted", [b"sound"], read), 60.0, seed=0)


def test_a_fault_of_a_reader_is_found_and_told_with_its_input():
    def read(content: bytes) -> None:
        if content != b"sound":
            raise ConfigError("refused") if content.startswith(b"s") else KeyError("planted")

    (find,) = of(read).finds
    assert "KeyError" in find and "planted" in find and "input (base64, " in find


def test_a_reader_that_takes_too_long_or_too_much_memory_is_found(monkeypatch):
    monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.05)

    def slow(content: bytes) -> None:
        until = time.process_time() + (0 if content == b"sound" else 0.1)
        while time.process_time() < until:
            pass

    assert "s of processor time" in of(slow).finds[0]
    monkeypatch.setattr(fuzz, "MOST_BYTES", 1 << 20)
    base, kept = fuzz.peak_bytes(), []
    monkeypatch.setattr(fuzz, "peak_bytes", lambda: base + sum(map(len, kept)))
    assert "MiB more than anything before" in of(lambda content: kept.append(bytes(2 << 20))).finds[0]


def crash(content: bytes) -> None:
    if content != b"sound":
        os.abort()


def test_what_ends_the_process_is_a_find_with_its_input_and_the_next_reader_is_tried(monkeypatch):
    readers = {"crashing": crash, "sound": lambda content: None}
    made = {name: lambda folder, name=name: Target(name, [b"sound"], readers[name]) for name in readers}
    monkeypatch.setattr(fuzz, "TARGETS", made)
    crashing, sound = fuzz.run(0.05)
    (find,) = crashing.finds
    assert find.startswith("the process was ended by SIGABRT; input (base64, ")
    content = base64.b64decode(find.rpartition(" ")[2])
    assert in_child(lambda: crash(content), Board([content]), 60.0) == "the process was ended by SIGABRT"
    assert sound.tried and sound.finds == []


def test_an_end_without_a_word_a_panic_and_a_reader_that_hears_nothing_are_finds(monkeypatch):
    assert of(lambda content: os._exit(3)).finds[0].startswith("the process ended with 3; input")
    assert "SystemExit" in of(lambda content: sys.exit(0)).finds[0]
    monkeypatch.setattr(fuzz, "DEAF_SECONDS", 0.3)

    def deaf(content: bytes) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(60)

    assert of(deaf).finds[0].startswith("no end after 0.3 s, and no answer to a signal; input")
