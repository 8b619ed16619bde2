"""HTML that cannot be broken by what is put into it: every text is escaped unless a tag made it."""

import html
import re
from collections.abc import Iterable

# Characters that HTML forbids or that UTF-8 cannot hold, and those that reverse the direction of the text around them.
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Text that is HTML already; only `tag`, `text` and `join` make it."""

    __slots__ = ()


def text(value: object) -> Html:
    """`value` escaped for element content and quoted attributes; forbidden characters become U+FFFD."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(UNSAFE.sub("\ufffd", str(value).replace("\r\n", "\n")), quote=True))


def join(parts: Iterable[object]) -> Html:
    """The parts one after the other, each escaped unless it is HTML; None is left out."""
    return Html("".join(text(part) for part in parts if part is not None))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """`<name …>children</name>`; `class_` writes class, `data_step` data-step; None and False are left out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in {"input", "meta", "rect", "br"}:
        return Html(f"<{name}{written}>" if name != "rect" else f"<rect{written}/>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def rows(pairs: Iterable[tuple[object, object]]) -> Html:
    """A two-column table of names and values; pairs without a value are left out."""
    lines = (tag("tr", tag("th", name, scope="row"), tag("td", value)) for name, value in pairs if value is not None)
    return tag("table", join(lines), class_="facts")
