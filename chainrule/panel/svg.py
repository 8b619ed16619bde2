"""The live panel as a picture, made again from the files of a run."""

import io
import re
from collections.abc import Iterator

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console, RenderableType
from rich.text import Text

from chainrule.panel.blocks import block
from chainrule.panel.layout import frame
from chainrule.panel.state import state_of
from chainrule.run import RunFolder, TrainRow, last_record, read_facts

# rich's own frame fetches a font from a content network; a picture in a repository must not.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def panel_svg(run: RunFolder, *, until_step: int | None = None, width: int = 100, height: int = 30) -> str:
    """SVG of the blocks before the run and of the panel at `until_step` (the end without it), in characters' sizes."""
    console = Console(file=io.StringIO(), record=True, force_terminal=True, width=width, legacy_windows=False)
    for part in _parts(run, console, until_step, height):
        console.print(part)
    return console.export_svg(title="chainrule", code_format=FORMAT)


def _parts(run: RunFolder, console: Console, until_step: int | None, height: int) -> Iterator[RenderableType]:
    facts = read_facts(run)
    for record in (facts.machine, facts.tokenizer, facts.data, facts.plan):
        if record != type(record)() and (lines := block(record)) is not None:
            yield lines
    yield Text()
    yield frame(state_of(run, facts.plan, until_step), console, height)


def last_step(run: RunFolder) -> int:
    """The last step that the run logged."""
    last = last_record(run.metrics, TrainRow)
    return last.step if last else 0
