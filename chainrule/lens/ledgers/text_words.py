"""Operations and formulas in the words of the program: `z = u + b`, and ∂z/∂u instead of ∂y/∂a."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chainrule.lens.ledgers.book import Part
from chainrule.lens.rules import RULES
from chainrule.lens.tape import Node

SIGNS = {"mul": "·", "add": "+", "sub": "−", "div": "/", "mm": "@", "bmm": "@"}
# What PyTorch calls them inside, and what their users do.
SHORT = {
    "binary_cross_entropy": "BCE",
    "binary_cross_entropy_with_logits": "BCE_with_logits",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "native_batch_norm": "batch_norm",
    "native_dropout": "dropout",
    "nll_loss_forward": "nll_loss",
    "split_with_sizes": "split",
    "scaled_dot_product_flash_attention_for_cpu": "attention",
    "scaled_dot_product_flash_attention": "attention",
    "scaled_dot_product_efficient_attention": "attention",
    "scaled_dot_product_fused_attention_overrideable": "attention",
    "safe_softmax": "softmax",
}
NUMBERED = re.compile(r"(.*?)((?:_\d+)?)")
# A factor before a letter (αG), a Latin word, or one Greek letter.
WORD = re.compile(r"[αβ](?=[A-Za-z])|[A-Za-z]+|[Α-ω]")
SHORT_NAME = 8


def short_name(name: str) -> str:
    """`qkv.weight` of `blocks.0.attention.qkv.weight`, the end of a parameter's path; operations as users call them."""
    found = NUMBERED.fullmatch(name)
    if found is not None and found[1] in SHORT:
        return SHORT[found[1]] + found[2]
    return ".".join(name.split(".")[-2:])


def op_name(node: Node) -> str:
    """An operation's name as users say it."""
    plain = node.rule_name.strip("_")
    return SHORT.get(plain, plain)


def call_text(node: Node, names: Mapping[int, str]) -> str:
    """`a = sigmoid(z)`, `z = u + b`: what a node makes of what."""
    assigned = [output for output in node.outputs if "=" in _code(node) and names[output] in _code(node)]
    made = ", ".join(short_name(names[output]) for output in (assigned or node.outputs[:1]))
    read = [short_name(names[value]) for value in node.inputs]
    sign, other = SIGNS.get(node.rule_name), node.arguments.get("other")
    if len(read) == 1 and isinstance(other, int | float):
        read.append(f"{other:.6g}")
    if sign and len(read) == 2 and node.arguments.get("alpha", 1) == 1:
        return f"{made} = {read[0]} {sign} {read[1]}"
    return f"{made} = {op_name(node)}({', '.join(read)})"


def _code(node: Node) -> str:
    """What stands to the left of an assignment in its line."""
    return node.site.code.partition("=")[0] + "=" if node.site is not None and "=" in node.site.code else ""


@dataclass(frozen=True)
class Spoken:
    """The formulas of one node, with the program's names for the rule's letters where all of them are short.

    Numbers of the call, such as α = 1, are put in everywhere.
    """

    names: Mapping[str, str]
    numbers: Mapping[str, float]
    replaces: bool

    @classmethod
    def of(cls, node: Node, names: Mapping[int, str]) -> "Spoken":
        """The words for one node's formulas."""
        rule = RULES.get(node.rule_name)
        if rule is None:
            return cls({}, {}, False)
        read = {rule.names.get(name, name): names[ref.value] for name, ref in node.references()}
        made = {rule.value.text.split("=")[0].strip(): names[node.outputs[0]]}
        numbers = {
            rule.names[name]: float(one)
            for name, one in node.arguments.items()
            if name in rule.names and isinstance(one, int | float) and not isinstance(one, bool)
        }
        short = all(len(name) <= SHORT_NAME and name.isidentifier() for name in (*read.values(), *made.values()))
        return cls(read | made, numbers, short)

    def formula(self, text: str) -> str:
        """The formula in the program's words."""
        return WORD.sub(self._word, text)

    def label(self, part: Part) -> str:
        """The name of an input, after its letter where the formula has that."""
        name = short_name(self.names.get(part.letter, part.letter))
        return name if self.replaces or name == part.letter else f"{part.letter}={name}"

    def _word(self, found: re.Match[str]) -> str:
        word, after = found[0], found.string[found.end() : found.end() + 1]
        if word in self.numbers:
            number = f"{self.numbers[word]:g}"
            return number if not after.isalpha() else "" if number == "1" else f"{number}·"
        return self.names.get(word, word) if self.replaces else word
