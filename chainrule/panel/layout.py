"""One frame of the live panel: curve, figures, progress, the latest samples, in whatever space the terminal has."""

from collections.abc import Iterator

from rich.box import ROUNDED
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from chainrule.base import count_text, duration_text
from chainrule.panel.curve import Canvas, loss_window
from chainrule.panel.state import PanelState
from chainrule.run import EvalRow, TrainRow
from chainrule.show import count, number, one_line, percent, printable, rate

STYLES = {"train": "cyan", "held-out": "magenta", "": ""}
LABEL_WIDTH = 6
LEAST_WITH_AXIS = 6
FIGURE_WIDTH = 19
# What is expected at the end is said where a bar of so many characters is left beside it.
LEAST_BAR = 24


def frame(state: PanelState, console: Console, height: int | None = None) -> RenderableType:
    """The panel for the console's width and `height` lines (the console's own, less one, when not given)."""
    room = (height or console.height - 1) - 2
    width = max(20, console.width - 4)
    figures = _figures(state, width)
    fixed = [*figures, _bar(state, width)]
    if room < len(fixed) + 4:
        return Group(*fixed[-max(1, room + 2) :])
    free = room - len(fixed)
    curve_height = free - 1 if free < 9 or not state.samples else max(5, min(14, free * 6 // 10))
    parts: list[Text] = [*_curve(state, width, curve_height), *fixed]
    parts += _samples(state, console, width, free - curve_height)
    return Panel(Group(*parts), box=ROUNDED, title=_title(state), title_align="left", border_style="dim")


def _title(state: PanelState) -> Text:
    name = printable(state.plan.architecture or "chainrule")
    parameters = state.plan.parameters
    about = f" · {count_text(parameters)} parameters" if parameters else ""
    return Text.assemble((name, "bold"), (about, "dim"))


def _curve(state: PanelState, width: int, height: int) -> list[Text]:
    """`height` lines: training loss as a line, held-out loss as squares, a round scale, steps and a legend below."""
    below = [_axis(state, width)] if height >= LEAST_WITH_AXIS else []
    height -= len(below)
    train, held_out = state.train_loss.all(), state.held_out_loss.all()
    window = loss_window(train, held_out, state.steps)
    canvas = Canvas(width - LABEL_WIDTH - 2, height, window)
    canvas.line(train, "train")
    canvas.marks(held_out, "held-out")
    ticks = window.ticks(max(2, height // 2)) if train or held_out else []
    labels = {round(window.share(tick) * (height - 1)): f"{tick:.4g}" for tick in ticks}
    lines = []
    for place, row in enumerate(canvas.rows()):
        line = Text(f"{labels.get(place, ''):>{LABEL_WIDTH}} ", style="dim", no_wrap=True)
        line.append("┤" if place in labels else "│")
        for characters, owner in _runs(row):
            line.append(characters, f"not dim {STYLES[owner]}".strip())
        lines.append(line)
    return lines + below


def _axis(state: PanelState, width: int) -> Text:
    """Steps from 0 to the last under the curve, and which line is which; the height is drawn by ratios, and says so."""
    legend = [("⠒ training", STYLES["train"]), ("  ⠶ held out", STYLES["held-out"]), ("  loss, by ratios", "dim")]
    line = Text(" " * (LABEL_WIDTH + 1) + "0 ", style="dim", no_wrap=True)
    last = f"{state.steps} steps"
    room = width - line.cell_len - len(last)
    words = Text()
    for text, style in legend:
        if words.cell_len + len(text) < room:
            words.append(text, f"not dim {style}" if style != "dim" else style)
    gap = room - words.cell_len
    return line.append(" " * (gap // 2)).append(words).append(" " * (gap - gap // 2)).append(last)


def _runs(row: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Neighbouring cells of one owner as one string: fewer styled pieces make a cheaper frame."""
    start = 0
    for end in range(1, len(row) + 1):
        if end == len(row) or row[end][1] != row[start][1]:
            yield "".join(character for character, _ in row[start:end]), row[start][1]
            start = end


def _figures(state: PanelState, width: int) -> list[Text]:
    train, held_out = state.train or TrainRow(0), state.held_out or EvalRow(0)
    cells = [
        ("train", number(train.loss), "bold cyan"),
        ("held-out", number(held_out.val_loss), "bold magenta"),
        ("bits/byte", number(held_out.val_bits_per_byte), "bold"),
        ("rate", rate(train.lr), "bold"),
        ("gradient", number(train.grad_norm, 2), "bold"),
        ("tokens/s", count(train.tokens_per_second), "bold"),
        ("of peak", percent(train.peak_share), "bold"),
        ("tokens", count(train.tokens if state.train else None), "bold"),
    ]
    per_line = next(n for n in (8, 4, 3, 2, 1) if n == 1 or n * FIGURE_WIDTH <= width)
    return [_figure_line(cells[i : i + per_line], width // per_line) for i in range(0, len(cells), per_line)]


def _figure_line(cells: list[tuple[str, str, str]], cell_width: int) -> Text:
    line = Text(no_wrap=True)
    for label, value, style in cells:
        gap = " " * max(1, cell_width - len(label) - 1 - cell_len(value))
        line.append(f"{label} ", "dim").append(value, style).append(gap)
    return line


def _bar(state: PanelState, width: int) -> Text:
    done = state.step / state.steps
    left, taken = (state.train.seconds_left, state.train.seconds) if state.train else (None, 0.0)
    words = [f"{100 * done:.0f} %", f"step {state.step}/{state.steps}"]
    if state.phase:
        words = [one_line(state.phase, 40)]
    elif left is not None:
        words.append(f"{duration_text(left)} left" if left > 0 else f"in {duration_text(taken)}")
        told = state.expected.text()
        if told and left > 0 and len("  ".join(words)) + len(told) + LEAST_BAR < width:
            words.append(f"loss {told}")
    after = "  " + "  ".join(words)
    cells = max(4, width - len(after))
    full = min(cells, round(cells * done))
    return Text.assemble(("━" * full, "green"), ("─" * (cells - full), "dim"), (after, ""), no_wrap=True)


def _samples(state: PanelState, console: Console, width: int, room: int) -> list[Text]:
    """A heading and the latest samples, `room` lines in all, shared fairly between the prompts."""
    if not state.samples or room < 2:
        return []
    shown = list(state.samples.items())[: max(1, room - 1)]
    heading = f"── what it writes, step {state.samples_step} "
    lines = [Text(heading + "─" * max(0, width - len(heading)), style="dim", no_wrap=True)]
    for place, (prompt, text) in enumerate(shown):
        share = (room - len(lines)) // (len(shown) - place)
        wrapped = sample_text(prompt, text).wrap(console, width)
        lines += _trimmed(list(wrapped))[:share]
    return lines


def sample_text(prompt: str, text: str) -> Text:
    """The prompt dim, what the model wrote after it as it is; never markup, never a control character."""
    return Text.assemble((printable(prompt).lstrip("\n"), "dim italic"), (printable(text), ""), overflow="fold")


def _trimmed(lines: list[Text]) -> list[Text]:
    return [line for line in lines if line.plain.strip()] or [Text("(nothing)", style="dim")]


def rows_table() -> Table:
    """A grid of a narrow right-aligned label and a wide text: the shape of every block beside the panel."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(justify="right", style="bold cyan", no_wrap=True, min_width=9)
    table.add_column(overflow="fold")
    return table
