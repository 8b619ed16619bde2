"""Where the verbs of the lens put what an instrument found: on standard output, or in a file."""

from pathlib import Path
from typing import Any

from chainrule.cli.output import put, say


def deliver(found: object, as_format: str, out: Path | None, **options: Any) -> None:
    """Prints what was found in that format, or writes it to the file and prints where; `options` as for `render`."""
    from chainrule.lens import render, save

    if out is None:
        put(render(found, as_format, **options))
        return
    save(found, out, as_format, **options)
    say(f"{out.stat().st_size / 1000:,.0f} kB")
    put(out)
