"""Whatever an instrument found, as text in the format that is asked for, or as a file whose ending says it."""

from inspect import signature
from pathlib import Path
from typing import Any

from chainrule.base import LensError, nearest, write_bytes
from chainrule.lens.renderers.table import RENDERERS, Renderer
from chainrule.show import clean, format_of


def render(found: object, as_format: str = "text", **options: Any) -> str:
    """What an instrument found, as "text", "json", "html", "svg", "md" or "tex", where it has that format.

    `options` are those of the format: `depth` of a picture, `module` and `depth` of a ledger, `width` of a text; None
    is as if it were not given. There is no line break at the end. Raises LensError for a format or an option that
    `found` does not have, with those that it has. Names are other people's: what a terminal would obey is replaced.
    """
    given = {name: value for name, value in options.items() if value is not None}
    return clean(renderer_for(type(found), as_format, **options)(found, **given)).removesuffix("\n")


def save(found: object, path: str | Path, as_format: str | None = None, **options: Any) -> Path:
    """Writes it to a file, in the format that its ending says unless one is given; see `render`. Returns the path."""
    path = Path(path)
    chosen = format_of(path, formats_of(found)) if as_format is None else as_format
    write_bytes(path, f"{render(found, chosen, **options)}\n".encode("utf-8", "replace"))
    return path


def formats_of(found: object) -> tuple[str, ...]:
    """The formats that `found`, or what is of the type `found`, can be shown in."""
    kind = found if isinstance(found, type) else type(found)
    return tuple(_renderers(kind))


def renderer_for(kind: type, as_format: str, **options: Any) -> Renderer:
    """The function that shows what is of that type; raises LensError as `render` does, before there is any work."""
    known = _renderers(kind)
    if as_format not in known:
        raise LensError(
            f"a {kind.__name__} is not shown as {as_format!r}.{nearest(as_format, known)} It has {', '.join(known)}"
        )
    for name, value in options.items():
        if value is not None and not _takes(known[as_format], name):
            fitting = [word for word, one in known.items() if _takes(one, name)]
            advice = f"it is for {', '.join(fitting)}" if fitting else f"a {kind.__name__} has no such option"
            raise LensError(f"{name}={value!r} does not go with {as_format}; {advice}")
    return known[as_format]


def _renderers(kind: type) -> dict[str, Renderer]:
    for one in kind.__mro__:
        if one in RENDERERS:
            return RENDERERS[one]
    shown = ", ".join(sorted(one.__name__ for one in RENDERERS))
    raise LensError(f"a {kind.__name__} is nothing that an instrument found; these are shown: {shown}")


def _takes(renderer: Renderer, option: str) -> bool:
    """Whether it is a parameter after the first, which is what was found."""
    return option in list(signature(renderer).parameters)[1:]
