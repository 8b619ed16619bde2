"""The loss expected at the end is said on the way: in the panel's line and in the plain log, from a fifth on."""

import io

import pytest
from rich.console import Console

from chainrule.panel.expected import Expected
from chainrule.panel.layout import frame
from chainrule.panel.plain import PlainLog
from chainrule.panel.state import PanelState
from chainrule.plan import foretell_end
from chainrule.run import EvalRow, Plan, Replanned, TrainRow

STEPS, TOKENS = 100, 100 * 512


def records(upto: int):
    yield Plan(architecture="qwen3", steps=STEPS, tokens=TOKENS)
    for step in range(upto + 1):
        if step % 5 == 0:
            yield EvalRow(step, tokens=step * 512, val_loss=6.0 * (step + 1) ** -0.15)
        yield TrainRow(step, tokens=step * 512, loss=6.0 * (step + 1) ** -0.15, seconds_left=60.0)


def fed(upto: int) -> Expected:
    found = Expected()
    for record in records(upto):
        found.feed(record)
    return found


def drawn(upto: int, width: int) -> str:
    state = PanelState()
    for record in records(upto):
        state.feed(record)
    console = Console(width=width, height=30, file=io.StringIO(), color_system=None)
    console.print(frame(state, console))
    return console.file.getvalue()


def test_nothing_is_said_before_a_fifth_and_then_what_the_looks_say():
    assert fed(15).text() == ""
    looks = [(step * 512, 6.0 * (step + 1) ** -0.15) for step in range(0, 45, 5)]
    told = foretell_end(looks, TOKENS)
    assert told and fed(40).text() == f"{told.value:.2f} ({told.low:.2f} to {told.high:.2f}) expected at the end"


def test_a_longer_plan_moves_the_end():
    found = fed(60)
    before = found.told
    found.feed(Replanned(plan=Plan(steps=2 * STEPS, tokens=2 * TOKENS)))
    assert before and found.told and found.told.value < before.value


@pytest.mark.parametrize(("width", "said"), [(120, True), (60, False)])
def test_the_panel_says_it_where_there_is_room(width, said):
    assert ("expected at the end" in drawn(40, width)) == said
    assert "expected at the end" not in drawn(10, width)


def test_the_plain_log_says_it_in_its_lines_of_figures():
    log = PlainLog(io.StringIO())
    for record in records(50):
        log.show(record)
    lines = [line for line in log.stream.getvalue().splitlines() if " lr " in line]
    early, late = (next(line for line in lines if line.startswith(f"step {step}/")) for step in (10, 50))
    assert late.endswith(f"loss {fed(50).text()}") and "expected" not in early
