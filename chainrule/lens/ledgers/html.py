"""The ledger as one HTML file that asks nothing of any network: a step for each operation, from the loss back.

Without its script the page is whole and can be printed; the script walks it by keys and buttons.
"""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from itertools import groupby

from chainrule.lens.ledgers.book import Ledger, LedgerRow, Meeting, Part, shown_names
from chainrule.lens.ledgers.cells import Cell, norm_text, value_text
from chainrule.lens.ledgers.coordinate import PathStep
from chainrule.lens.ledgers.text_path import digits, moves
from chainrule.lens.ledgers.text_words import Spoken, call_text
from chainrule.show import Html, join, tag


def ledger_html(ledger: Ledger, title: str = "") -> str:
    """The whole page."""
    style, script = _asset("ledger.css"), _asset("ledger.js")
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
    name = title or ledger.tape.target
    head = (
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{name}, the chain rule · chainrule lens"),
        tag("style", Html(style)),
    )
    page = _Page(ledger)
    body = tag(
        "body",
        tag("main", page.heading(name), page.followed(), page.steps(), page.gradients()),
        _bar(len(ledger.rows)),
        tag("script", Html(script)),
    )
    return join([Html("<!doctype html>\n"), tag("html", tag("head", *head), body, lang="en"), "\n"])


def _bar(n: int) -> Html:
    def button(name: str, sign: str, words: str) -> Html:
        return tag("button", sign, id=name, type="button", aria_label=words, title=words)

    return tag(
        "footer",
        button("back", "←", "One step towards the loss"),
        tag("output", f"{n} step{'s' if n != 1 else ''}", id="place"),
        button("forth", "→", "One step further back"),
        tag("span", "arrow keys walk, Home and End jump", class_="quiet"),
        id="walk",
    )


BY_AUTOGRAD = "No rule of our own: autograd differentiated it, so this step is not independent."


class _Page:
    """The parts of one page."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger, self.tape, self.names = ledger, ledger.tape, shown_names(ledger.tape)
        self.place = {row.node: row.order + 1 for row in ledger.rows}
        self.path = {} if ledger.coordinate is None else {step.node: step for step in ledger.coordinate.steps}

    def heading(self, name: str) -> Html:
        """What was recorded, and how a step is read."""
        rows, leaves = self.ledger.rows, self.ledger.leaves
        loss = value_text(rows[0].value) if rows else ""
        return join(
            [
                tag("h1", name),
                tag(
                    "p",
                    f"The chain rule, line by line: the loss is {loss}; {len(rows)} operations back to "
                    f"{len(leaves)} gradients.",
                    class_="facts",
                ),
                tag(
                    "p",
                    tag("span", "values", class_="value"),
                    " run forwards, ",
                    tag("span", "gradients ∇ of the loss", class_="gradient"),
                    " come back. A tensor is its shape and its ‖norm‖. Each line: what comes in, times the local "
                    "derivative, goes out.",
                    class_="quiet",
                ),
            ]
        )

    def steps(self) -> Html:
        """Steps of one module that follow each other stand under its name."""
        parts = []
        for module, group in groupby(self.ledger.rows, key=lambda row: row.module):
            rows = list(group)
            kind = self.tape.modules.get(module, "")
            name = module or "the program itself"
            head = tag("summary", tag("b", name, title=name), tag("span", kind, class_="quiet"), _count(len(rows)))
            parts.append(tag("details", head, *map(self.step, rows), open=True))
        return tag("section", *parts, id="steps")

    def step(self, row: LedgerRow) -> Html:
        """One operation."""
        node = self.tape.nodes[row.node]
        words = Spoken.of(node, self.names)
        call = call_text(node, self.names)
        return tag(
            "article",
            tag("span", str(row.order + 1), class_="number"),
            tag(
                "div",
                tag("h3", call, title=call),
                tag("p", tag("code", row.site.code, title=str(row.site)), class_="source") if row.site else None,
                tag("p", words.formula(row.text.text), class_="formula")
                if row.text
                else tag(
                    "p",
                    "No rule of our own: autograd differentiated it, so this step is not independent.",
                    class_="note",
                ),
                tag("p", "value ", tag("span", value_text(row.value), class_="value"), class_="fact"),
            ),
            tag(
                "div",
                *(self.meeting(one) for one in row.meetings),
                self.comes_in(row),
                *(self.part(row, part, words) for part in row.parts),
                self.follows(row.node),
                class_="rule",
            ),
            class_="step followed" if row.node in self.path else "step",
            id=f"step-{row.order + 1}",
            tabindex="-1",
        )

    def comes_in(self, row: LedgerRow) -> Html | None:
        """The gradient at the operation's result."""
        if row.incoming is None:
            return None
        return tag("p", "comes in: ", _partial(row.name), " = ", _gradient(row.incoming), class_="in")

    def part(self, row: LedgerRow, part: Part, words: Spoken) -> Html:
        """What one input receives, and where that goes on."""
        name, node = self.names[part.value], self.tape.values[part.value].producer
        formula = words.formula(part.formula.text) if part.formula else "by autograd"
        scalar = row.incoming is not None and row.incoming.number is not None and part.local is not None
        if scalar and part.local is not None and part.local.number is not None and row.incoming is not None:
            product = [_gradient(row.incoming), " · ", tag("span", norm_text(part.local), class_="value"), " = "]
        else:
            product = []
        there = self.place.get(node) if node is not None else None
        goes = tag("a", f"step {there}", href=f"#step-{there}") if there else self.ends(part.value)
        return tag(
            "p",
            _partial(name),
            " = ",
            *product,
            tag("b", norm_text(part.outgoing), class_="gradient"),
            tag("span", formula, class_="formula"),
            tag("span", "→ ", goes, class_="goes"),
            class_="out",
        )

    def ends(self, value: int) -> Html:
        """The gradient of a leaf stands in the list at the end."""
        return tag("a", f"this {self.tape.values[value].role}", href=f"#leaf-{value}")

    def meeting(self, one: Meeting) -> Html:
        """Gradients of several uses that are added."""
        came: list[object] = []
        for node, _, part in one.contributions[:8]:
            came += [" + " if came else "", _gradient(part), " from ", self.link(node)]
        more = f" + {len(one.contributions) - 8} more" if len(one.contributions) > 8 else ""
        return tag(
            "p", tag("span", f"Σ {len(one.contributions)}", class_="met"), " ", *came, more, " = ", _gradient(one.total)
        )

    def link(self, node: int) -> Html:
        """A step by its number."""
        return tag("a", f"step {self.place[node]}", href=f"#step-{self.place[node]}")

    def gradients(self) -> Html:
        """Where the walk ends: each weight and input with its gradient, then those that the loss does not reach."""
        items = []
        for leaf in self.ledger.leaves:
            value = self.tape.values[leaf.value]
            items.append(
                tag(
                    "li",
                    tag("b", value.name, title=value.name),
                    tag("span", value_shape(value.meta.shape), class_="quiet"),
                    _gradient(leaf.gradient),
                    self.meeting(leaf.meeting) if leaf.meeting is not None else None,
                    id=f"leaf-{leaf.value}",
                )
            )
        unreached = [self.tape.values[value].name for value in self.ledger.unreached]
        return tag(
            "section",
            tag("h2", "Gradients"),
            tag("ul", *items),
            tag("p", f"Not reached by the loss: {', '.join(unreached)}", class_="note") if unreached else None,
            id="gradients",
        )

    def followed(self) -> Html | None:
        """The element that is followed, with each number on its way."""
        path = self.ledger.coordinate
        if path is None:
            return None
        element = _element(path.name, path.index)
        steps = [tag("li", self.link(one.node), " ", *self.products(one)) for one in path.steps]
        return tag(
            "section",
            tag("h2", f"Followed: {element} = {digits(path.number)}"),
            tag("p", _partial(element), " = ", tag("b", digits(path.gradient), class_="gradient"), class_="big"),
            tag(
                "details",
                tag("summary", f"{len(steps)} steps from the loss to it"),
                tag("ol", *steps),
                open=len(steps) <= 12,
            ),
            *(tag("p", line.strip(), class_="quiet") for line in moves(path)),
            id="followed",
        )

    def follows(self, node: int) -> Html | None:
        """The followed element at this step."""
        step = self.path.get(node)
        return None if step is None else tag("p", tag("span", "followed", class_="met"), " ", *self.products(step))

    def products(self, step: PathStep) -> Sequence[object]:
        """The largest product, how many there are, and the sum."""
        name = _partial(_element(self.names[step.value], step.index))
        total = tag("b", digits(step.total), class_="gradient")
        if not step.terms:
            return [name, " = ", total, ": nothing that goes out depends on it"]
        first = step.terms[0]
        product = [
            tag("span", digits(first.gradient), class_="gradient"),
            " · ",
            tag("span", digits(first.local), class_="value"),
        ]
        more = f", the largest of {step.n_terms:,} products" if step.n_terms > 1 else ""
        others = f", with {len(step.others)} other use{'s' * (len(step.others) > 1)}" if step.others else ""
        return [name, " = ", total, tag("span", " from ", *product, more, others, class_="quiet")]


def value_shape(shape: tuple[int, ...]) -> str:
    """`[4, 64]`; nothing of a scalar."""
    return f"[{', '.join(map(str, shape))}]" if shape else ""


def _element(name: str, index: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def _partial(name: str) -> Html:
    return tag("span", f"∂L/∂{name}", class_="partial", title=name)


def _gradient(cell: Cell) -> Html:
    return tag("span", norm_text(cell), class_="gradient")


def _count(n: int) -> Html:
    return tag("span", f"{n} operation{'s' if n != 1 else ''}", class_="quiet")


def _asset(name: str) -> str:
    return files("chainrule.lens.ledgers").joinpath("page", name).read_text(encoding="utf-8")


def _digest(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
