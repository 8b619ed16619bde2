"""The watcher of a run: a live panel on a terminal, plain lines elsewhere, and a terminal that is left clean."""

import errno
import io
import math
import os
import pty
import re
import subprocess
import sys
import time

import pytest
from heard import told
from rich.console import Console

from chainrule.panel.layout import frame
from chainrule.panel.live import LivePanel, make_watch
from chainrule.panel.plain import PlainLog
from chainrule.panel.state import PanelState
from chainrule.run import TrainRow

STEPS = 200
HOSTILE = "\x1b[2J[bold]x[/bold]\x07\r\u202e\ud800\x9b31m"
MACHINE = {
    "cpu": "AMD EPYC",
    "cores": 2,
    "threads": 2,
    "memory_bytes": 2**33,
    "device": "cpu",
    "reason": "no GPU is here",
    "precision": "bfloat16",
    "peak_flops": 1.3e12,
    "torch": "2.13.0",
}
PLAN = {
    "architecture": "qwen3",
    "parameters": 5_242_880,
    "steps": STEPS,
    "tokens": STEPS * 4096,
    "batch_tokens": 4096,
    "memory_bytes": 2**29,
    "seconds": 270.0,
}
DATA = {
    "files": 1021,
    "documents": 1003,
    "bytes": 9_800_000,
    "duplicates": 3,
    "near_duplicates": 12,
    "tokens": {"train": 2_600_000, "validation": 131_000},
    "epochs": 5.25,
    "warnings": ["the run reads the text 5.2 times"],
}
SUMMARY = {
    "status": "finished",
    "step": STEPS,
    "steps": STEPS,
    "seconds": 275.4,
    "val_loss": 3.2,
    "val_perplexity": 24.5,
    "val_bits_per_byte": 1.276,
    "baselines": {"unigram": 2.61, "bigram": 1.98, "gzip": 1.94, "xz": 1.64, "xz_seen": 1.41, "whole": True},
    "tasks": [{"task": "python-functions", "n": 48, "right": 36, "told": "sampled functions parse", "of_n": 48}],
    "more_minutes": {"minutes": 10, "tokens": 9_000_000, "bits_per_byte": 1.08, "low": 1.01, "high": 1.14},
    "completions": [{"prompt": "def ", "text": f"f(x):\n    return x  # {HOSTILE}\n"}] * 3,
    "n_skipped": 1,
    "report": "runs/quick/report.html",
}


def rows(text="f(self):\n    return self"):
    """All that a run tells, as the trainer tells it."""
    yield "machine", MACHINE
    for done in range(0, 11):
        yield "progress", {"phase": "reading", "done": done * 10**6, "total": 10**7}
    yield "plan", PLAN
    yield "progress", {"phase": "tokenizer", "done": 0, "total": 10**7}
    yield (
        "tokenizer",
        {"kind": "bpe", "vocab_size": 4096, "bytes_per_token": 3.6, "unused_share": 0.004, "warnings": ()},
    )
    yield "data", DATA
    yield "plan", PLAN | {"seconds": 280.0}
    yield "notice", {"message": "started: 200 steps", "step": 0}
    yield "eval", {"step": 0, "tokens": 0, "seconds": 0.0, "val_loss": 8.3, "val_bits_per_byte": 3.3}
    for step in range(1, STEPS + 1):
        loss = 3.1 + 5.2 * math.exp(-step / 30)
        at = {"step": step, "tokens": step * 4096, "seconds": step * 1.4}
        speed = {"tokens_per_second": 36_400.0, "peak_share": 0.61, "seconds_left": (STEPS - step) * 1.4}
        yield "train", {**at, "loss": loss, "lr": 4e-3, "grad_norm": 0.42, **speed}
        if step % 50 == 0:
            yield "eval", {**at, "val_loss": loss + 0.1, "val_bits_per_byte": (loss + 0.1) / 2.5}
            for prompt in ("def ", "\n"):
                yield "sample", {**at, "prompt": prompt, "text": text}
            yield "saved", {"step": step, "path": f"runs/quick/checkpoints/step-{step:08d}"}
    yield "progress", {"phase": "final evaluation", "done": 0, "total": 1}
    yield "finished", SUMMARY


def plain(text=HOSTILE, clock=lambda: 0.0):
    stream = io.StringIO()
    log = PlainLog(stream, clock)
    for kind, row in rows(text):
        log.show(told(kind, row))
    return stream.getvalue()


def console(width=100, height=30, **options):
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, **options)


def live(width=100, height=30, every=0.01, **options):
    """What a terminal receives of a whole run in which `every` seconds pass between two rows."""
    now = [0.0]
    screen = console(width, height, **options)
    panel = LivePanel(screen, lambda: now[0])
    for kind, row in rows():
        panel.show(told(kind, row))
        now[0] += every
    panel.close()
    return screen.file.getvalue()


def unstyled(received):
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", received)


def state_at(step, text="noise"):
    state = PanelState()
    for kind, row in rows(text):
        if row.get("step", 0) > step:
            break
        state.feed(told(kind, row))
    return state


def drawn(state, width, height):
    screen = console(width, height, color_system=None)
    screen.print(frame(state, screen))
    return screen.file.getvalue()


def test_plain_lines_say_everything_once_and_thin_the_steps():
    lines = plain().splitlines()
    for start in (
        "machine: AMD EPYC",
        "device: cpu: no GPU is here",
        "plan: 200 steps",
        "tokenizer: bpe, 4,096 entries",
    ):
        assert any(line.startswith(start) for line in lines), start
    assert "warning: the run reads the text 5.2 times" in lines
    assert lines.count("finished at step 200 after 4 min 35 s of training") == 1
    assert "report: runs/quick/report.html" in lines
    assert sum(line.startswith("more: With 10 more minutes") and "1.01 to 1.14" in line for line in lines) == 1
    assert "next: chainrule generate runs/quick" in lines
    steps = [line for line in lines if line.startswith("step ") and "norm" in line]
    assert 95 <= len(steps) <= 105
    assert steps[0].startswith(
        "step 1/200 loss 8.1295 lr 4.0e-3 norm 0.42 36.4k tokens/s 61 % of peak, 4 min 39 s left"
    )
    assert steps[-1].startswith("step 200/200")


def test_samples_are_short_lines_of_their_own_and_the_last_words_are_the_verdict_and_what_to_do():
    lines = plain("def f(self):\n    return " + "x" * 300).splitlines()
    place = lines.index("step 50 writes")
    assert lines[place + 1].startswith("  | ") and "return" in lines[place + 2] and lines[place + 3].endswith(" …")
    assert max(len(line) for line in lines if line.startswith("  | ")) <= 108
    order = ["finished at step 200", "  | ", "bits per byte, this model", "verdict:", "report:", "next:"]
    places = [max(at for at, line in enumerate(lines) if line.startswith(words)) for words in order]
    assert places == sorted(places)


def test_slow_steps_are_all_logged():
    now = iter(range(0, 100_000, 31))
    lines = plain(clock=lambda: next(now)).splitlines()
    assert sum("norm" in line for line in lines) == STEPS


@pytest.mark.parametrize("received", [plain(), live(every=2)], ids=["plain", "live"])
def test_a_text_cannot_reach_the_terminal_as_a_command(received):
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u202e\ud800]", unstyled(received))
    assert "[bold]x[/bold]" in unstyled(received)
    # Of the escape sequences that rich sends, none clears the screen as the sample wanted to.
    assert "\x1b[2J" not in received


def test_plain_lines_have_no_styles():
    assert "\x1b" not in plain()


def test_a_reader_that_has_gone_away_does_not_stop_the_run():
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "gone")

    log = PlainLog(Closed())
    for kind, row in rows():
        log.show(told(kind, row))
    assert not log.alive


def test_letters_that_the_stream_cannot_hold_are_replaced():
    raw = io.BytesIO()
    log = PlainLog(io.TextIOWrapper(raw, encoding="ascii"))
    log.write("größer … ⏎")
    assert raw.getvalue() == b"gr??er ? ?\n"


def test_with_json_all_lines_go_to_standard_error(capsys):
    with make_watch(json_mode=True) as watch:
        for kind, row in rows():
            watch(told(kind, row))
    out, err = capsys.readouterr()
    assert out == ""
    assert "finished at step 200" in err


def test_without_a_terminal_lines_go_to_standard_output(capsys):
    with make_watch(json_mode=False) as watch:
        watch(told("machine", MACHINE))
    assert capsys.readouterr().out.startswith("machine: AMD EPYC, 2 cores")


def test_the_panel_shows_curve_figures_progress_and_samples():
    text = drawn(state_at(150), 100, 30)
    assert "qwen3 · 5.24M parameters" in text
    for figure in ("train 3.135", "held-out 3.235", "bits/byte 1.294", "rate 4.0e-3", "gradient 0.42", "of peak 61 %"):
        assert figure in text
    assert "75 %  step 150/200  1 min 10 s left" in text
    assert "what it writes, step 150" in text
    assert len(re.findall("[⠁-⣿]", text)) > 30
    assert "⠒ training  ⠶ held out" in text and re.search(r" 0 .* 200 steps", text)
    assert {float(scale) for scale in re.findall(r"([\d.]+) ┤", text)} <= {place / 2 for place in range(20)}


@pytest.mark.parametrize("width", [24, 40, 60, 80, 200])
@pytest.mark.parametrize("height", [3, 8, 12, 24, 60])
def test_a_frame_fits_every_terminal(width, height):
    for step in (0, 1, 50, 200):
        lines = drawn(state_at(step, "a long line " * 40), width, height).splitlines()
        assert len(lines) < height
        assert max(map(len, lines)) <= width


def test_all_figures_are_readable_at_60_columns():
    text = drawn(state_at(150), 60, 24)
    for label in ("train 3.135", "held-out 3.235", "bits/byte 1.294", "rate", "gradient", "tokens/s 36.4k", "of peak"):
        assert label in text
    assert "step 150/200" in text


def test_without_colour_there_is_none(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", live(every=2))


def test_blocks_come_before_the_panel_and_the_result_after_it():
    text = unstyled(live(every=2))
    order = [
        "machine",
        "no GPU is here",
        "qwen3, 5,242,880",
        "bpe, 4,096",
        "1,003 documents",
        "what it writes, step 200",
        "it writes",
    ]
    order += [
        "this model  1.276",
        "beats every baseline",
        "python-functions: 36 of 48 sampled functions parse: 75% (61% to 85%)",
        "chainrule generate runs/quick",
    ]
    places = [text.rindex(words) for words in order]
    assert places == sorted(places)


def test_rounds_of_samples_scroll_up_above_the_panel():
    kept = re.findall(r"step +(\d+)  def f\(self\):⏎", unstyled(live(every=2)))
    assert kept == ["50", "100", "150"]


def test_the_panel_is_drawn_at_most_once_a_second(monkeypatch):
    drawings = []
    monkeypatch.setattr("chainrule.panel.live.frame", lambda *seen: drawings.append(seen) or frame(*seen))
    live(every=0.01)
    # Two and a half seconds pass: the first frame, two more, one for the final evaluation, one at the end.
    assert 3 <= len(drawings) <= 5


def test_a_frame_costs_little():
    state, screen = state_at(200), console(140, 50)
    for _ in range(3):
        screen.print(frame(state, screen))
    start = time.process_time()
    for _ in range(10):
        screen.print(frame(state, screen))
    assert (time.process_time() - start) / 10 < 0.02


def test_a_long_run_keeps_its_curve_small():
    state = PanelState()
    for step in range(1, 50_001):
        state.feed(TrainRow(step, loss=10 / step))
    points = state.train_loss.all()
    assert len(points) <= 2049
    assert points == sorted(points, key=lambda point: -point[1])
    state.feed(TrainRow(50_001))
    state.feed(TrainRow(50_002, loss=math.nan))
    assert state.train_loss.all() == points


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt])
def test_the_cursor_comes_back_whatever_ends_the_run(fault):
    """On a real terminal: shown again after being hidden, and nothing of the panel is left in the alternate screen."""
    code = f"""
from chainrule.panel import make_watch
from chainrule.run import Plan, Progress, TrainRow
with make_watch(json_mode=False) as watch:
    watch(Progress("reading", 1, 2))
    watch(Plan.of({PLAN}))
    for step in range(1, 121):
        watch(TrainRow(step, loss=9 / step))
    raise {fault.__name__}
"""
    received = on_a_terminal(code)
    assert received.rindex("\x1b[?25h") > received.rindex("\x1b[?25l")
    assert "step 120/200" in unstyled(received)
    assert "\x1b[?1049h" not in received


def on_a_terminal(code):
    """What a pseudo-terminal of 80 × 24 receives from a Python program."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=follower, stderr=subprocess.DEVNULL, env=environment
    )
    os.close(follower)
    received = b""
    while True:
        try:
            chunk = os.read(leader, 65_536)
        except OSError:  # the last writer has closed its end
            break
        if not chunk:
            break
        received += chunk
    process.wait()
    os.close(leader)
    return received.decode()
