"""HTML that cannot be broken by what is put into it: every text is escaped unless a tag made it."""

from collections.abc import Iterable

from chainrule.show.safe import escaped


class Html(str):
    """Text that is HTML already; only `tag`, `text` and `join` make it."""

    __slots__ = ()


def text(value: object) -> Html:
    """`value` escaped for element content and quoted attributes; forbidden characters become U+FFFD."""
    if isinstance(value, Html):
        return value
    return Html(escaped(str(value).replace("\r\n", "\n")))


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
