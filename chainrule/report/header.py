"""The page's first screen: what the run is, how good it is, what to do next, and the figures that matter."""

import math
from collections.abc import Iterable

from chainrule.base import bytes_text, count_text, duration_text
from chainrule.report.commands import command, commands
from chainrule.report.sections import MARKS, loss_unit
from chainrule.run import Facts
from chainrule.show import Html, join, percent, tag
from chainrule.verdict import headline, scored, to_do

PILLS = {"finished": "good", "running": "good", "interrupted": "note", "stopped": "bad"}
# Commands of "Again, and onwards" that stand on the first screen, too.
FIRST_COMMANDS = 2


def header(facts: Facts) -> Html:
    """Name, state, one sentence, the verdict, what to do next, and the figures that matter."""
    pill = tag("span", facts.status, class_=f"pill {PILLS.get(facts.status, 'note')}")
    theme = tag("button", "◐", id="theme", type="button", title="Light or dark", aria_label="Light or dark")
    tiles = [_tile(*tile) for tile in _tiles(facts)]
    return tag(
        "header",
        tag("div", tag("span", "chainrule"), theme, class_="top"),
        tag("h1", facts.run.name, " ", pill),
        tag("p", lead(facts), class_="lead"),
        _verdict(facts),
        tag("dl", join(tiles), class_="tiles") if tiles else None,
        tag("div", join(command(*one) for one in commands(facts)[:FIRST_COMMANDS]), class_="first"),
        tag("p", id="news", class_="note", role="status") if facts.status == "running" else None,
    )


def _verdict(facts: Facts) -> Html:
    """How good it is, and below it what to do about it."""
    first, then = headline(facts), to_do(facts)
    said = [(first.mark, first.text)]
    if then is not None:
        # What is no fault is in the first sentence already.
        said.append((then.mark, then.text if then.mark == "bad" else then.remedy))
    lines = [tag("li", tag("b", MARKS[mark], class_=mark), tag("span", text)) for mark, text in said]
    return tag("ul", join(lines), class_="findings headline")


def lead(facts: Facts) -> str:
    """What was done, in one sentence made of what is known."""
    parameters = facts.summary.parameters or facts.plan.parameters
    size = f"A model of {count_text(parameters)} parameters" if parameters else "A model"
    steps = facts.summary.step or facts.last.step
    if not steps:
        return f"{size} that has learnt nothing yet."
    text = facts.data.bytes
    running = facts.status == "running"
    verb = "is learning" if running else "learnt"
    about = f" {verb} from {bytes_text(text)} of text" if text is not None else f" {verb}"
    seconds = facts.summary.seconds if facts.status == "finished" else facts.last.seconds
    time = f", {duration_text(seconds or 0)} so far" if running else f" in {duration_text(seconds or 0)}"
    where = facts.machine.cpu if facts.machine.device in {None, "cpu"} else facts.machine.device_name
    return f"{size}{about}{time if seconds else ''}{f', on {where}' if where else ''}."


def _tiles(facts: Facts) -> Iterable[tuple[str, str, str]]:
    """Name, figure and note of what is known."""
    bits, loss = facts.bits_per_byte, facts.held_out_loss
    part = scored(facts.summary) if facts.status == "finished" else None
    said = f"of held-out text ({part}); less is better" if part else "of held-out text; less is better"
    if bits is not None:
        yield "bits per byte", f"{bits:.3f}", said
    if loss is not None:
        judged = loss_unit(facts) != "nats per token"
        yield (
            "held-out loss",
            f"{loss:.3f}",
            loss_unit(facts) if judged else f"perplexity {math.exp(min(loss, 700)):.1f}",
        )
    tokens, steps = facts.summary.tokens or facts.last.tokens, facts.summary.step or facts.last.step
    if facts.status != "finished":
        tokens, steps = facts.last.tokens or tokens, facts.last.step or steps
    if tokens:
        yield "tokens", count_text(tokens), f"{steps:,} steps"
    speed = facts.summary.tokens_per_second or facts.last.tokens_per_second
    peak = facts.summary.peak_share or facts.last.peak_share
    if speed is not None:
        share = f"{percent(peak)} of the machine’s peak" if peak else "while training"
        yield "tokens per second", count_text(speed), share
    for result in facts.summary.tasks:
        if result.share is not None:
            yield result.task, f"{result.share:.0%}", f"{result.right:,} of {result.n:,} {result.told}"


def _tile(name: str, value: str, note: str) -> Html:
    return tag("div", tag("dt", name), tag("dd", value, tag("small", note)))
