"""Which function shows what an instrument found, by the type of what was found and by the format.

A new instrument is an entry here. Each function takes what was found and gives text; what else it takes by name are the
options of that format, such as `width`.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any

from chainrule.lens.classics import (
    GptDemo,
    NetworkDemo,
    NeuronDemo,
    Tour,
    gpt_facts,
    gpt_lines,
    network_facts,
    network_lines,
    neuron_facts,
    neuron_lines,
    tour_facts,
)
from chainrule.lens.draw import Picture, picture, to_html, to_json, to_latex, to_markdown, to_svg, to_terminal
from chainrule.lens.expressions import Explanation, explanation_facts
from chainrule.lens.ledgers import (
    CoordinatePath,
    CostTable,
    Ledger,
    TokenLook,
    cost_facts,
    cost_lines,
    ledger_facts,
    ledger_html,
    ledger_lines,
    path_facts,
    path_lines,
    token_facts,
    token_lines,
)
from chainrule.lens.prove import Checked, Report, checking_facts, checking_lines, proof_facts, proof_lines
from chainrule.lens.rules import RuleBook, RuleEntry, book_facts, book_lines, in_full, rule_facts, rules_page
from chainrule.lens.tensors import (
    Sharing,
    TensorList,
    TensorView,
    list_facts,
    list_lines,
    tensor_facts,
    tensor_html,
    tensor_markdown,
    tensor_picture,
    tensor_text,
)
from chainrule.show import json_text

Renderer = Callable[..., str]


def joined(lines: Callable[..., Iterable[str]]) -> Renderer:
    """Lines as one text, with the options that `lines` takes."""

    @wraps(lines)
    def text(found: Any, **options: Any) -> str:
        return "\n".join(lines(found, **options))

    return text


def figures(facts: Callable[[Any], Mapping[str, Any]]) -> Renderer:
    """Values as JSON for a person."""
    return lambda found: json_text(facts(found))


def drawn(write: Callable[[Picture], str]) -> Renderer:
    """A ledger as the picture of its recording."""
    return lambda book, title="": write(picture(book.tape, book, title=title))


RENDERERS: dict[type, dict[str, Renderer]] = {
    Ledger: {
        "text": joined(ledger_lines),
        "json": figures(ledger_facts),
        "html": ledger_html,
        "svg": drawn(to_svg),
        "md": drawn(to_markdown),
        "tex": drawn(to_latex),
    },
    CostTable: {"text": joined(cost_lines), "json": figures(cost_facts)},
    CoordinatePath: {"text": joined(path_lines), "json": figures(path_facts)},
    TokenLook: {"text": joined(token_lines), "json": figures(token_facts)},
    Checked: {"text": joined(checking_lines), "json": figures(checking_facts)},
    Report: {"text": joined(proof_lines), "json": figures(proof_facts)},
    Picture: {
        "text": to_terminal,
        "json": to_json,
        "html": to_html,
        "svg": to_svg,
        "md": to_markdown,
        "tex": to_latex,
    },
    TensorView: {
        "text": tensor_text,
        "json": figures(tensor_facts),
        "html": tensor_html,
        "svg": tensor_picture,
        "md": tensor_markdown,
    },
    TensorList: {"text": joined(list_lines), "json": figures(list_facts)},
    Sharing: {"text": Sharing.text},
    Explanation: {"text": Explanation.text, "json": figures(explanation_facts)},
    RuleBook: {"text": joined(book_lines), "json": figures(book_facts), "md": rules_page},
    RuleEntry: {"text": joined(in_full), "json": figures(rule_facts)},
    NeuronDemo: {"text": joined(neuron_lines), "json": figures(neuron_facts)},
    NetworkDemo: {"text": joined(network_lines), "json": figures(network_facts)},
    GptDemo: {"text": joined(gpt_lines), "json": figures(gpt_facts)},
    Tour: {"text": Tour.text, "json": figures(tour_facts)},
}
