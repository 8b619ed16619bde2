"""Reads the formulas that people read: the text and the LaTeX of a rule become a tree that can be computed with.

A tree is a nested tuple: ("number", 2.0), ("symbol", "x"), ("call", "ln", tree), ("+", tree, tree), and
("[]", "<", tree, tree) for the bracket that is 1 where the relation holds.
"""

import math
import re

FUNCTIONS = [
    "arcsin", "arccos", "arctan", "arsinh", "arcosh", "artanh", "sinh", "cosh", "tanh", "sin", "cos", "tan", "exp",
    "lnΓ", "ψ₁", "ψ", "I₀", "I₁",
    "ln", "log₂", "log₁₀", "erfinv", "erf", "sign", "trunc", "round", "atan2", "max", "min", "σ", "Φ", "φ",
]  # fmt: skip
SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ˣʸᵃᵇⁿᵖ", "0123456789+−xyabnp", strict=True))
TOKEN = re.compile(rf"\d+\.?\d*|½|{'|'.join(FUNCTIONS)}|[<>=≤≥]|\S")
LATEX = {
    r"\operatorname": "", r"\left": "", r"\right": "", r"\,": " ", r"\log_2": "log₂ ", r"\log_{10}": "log₁₀ ",
    r"\le": "≤", r"\ge": "≥", r"\lfloor": "⌊", r"\rfloor": "⌋", r"\lceil": "⌈", r"\rceil": "⌉", "-": "−", r"\sqrt": "√",
    r"\alpha": "α", r"\beta": "β", r"\delta": "δ", r"\lambda": "λ", r"\pi": "π", r"\sigma": "σ", r"\Phi": "Φ",
    r"\varphi": "φ", r"\psi_1": "ψ₁", r"\psi": "ψ", "I_0": "I₀", "I_1": "I₁", r"\ln\Gamma": "lnΓ", "{": "(", "}": ")",
}  # fmt: skip


def right_side(formula: str) -> str:
    """What stands after the first equality sign."""
    return formula.split(" = ", 1)[1]


def read_text(text: str) -> tuple:
    """The tree of a formula in Unicode."""
    exponent = "[" + "".join(SUPERSCRIPTS) + "]+"
    plain = re.sub(exponent, lambda found: "^(" + "".join(SUPERSCRIPTS[c] for c in found[0]) + ")", text)
    return Reader(TOKEN.findall(plain)).whole()


def read_latex(latex: str) -> tuple:
    """The tree of a formula in LaTeX."""
    while (start := latex.find(r"\frac")) >= 0:
        above, rest = braces(latex[start + len(r"\frac") :])
        below, rest = braces(rest)
        latex = f"{latex[:start]}(({above})/({below})){rest}"
    for written, meant in LATEX.items():
        latex = latex.replace(written, meant)
    for name in sorted(FUNCTIONS, key=len, reverse=True):
        latex = latex.replace("\\" + name, name).replace(f"({name})", name)
    return Reader(TOKEN.findall(latex)).whole()


def braces(latex: str) -> tuple[str, str]:
    """The content of the group that comes first, and what follows it."""
    depth = 0
    for place, letter in enumerate(latex):
        depth += (letter == "{") - (letter == "}")
        if not depth:
            return latex[1:place], latex[place + 1 :]
    raise ValueError(f"a brace is open: {latex}")


class Reader:
    """A descent through the grammar: sum, product (also without a sign), power, atom."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens, self.at = tokens, 0

    def whole(self) -> tuple:
        tree = self.sum()
        if self.next is not None:
            raise ValueError(f"cannot read {self.next!r} in {' '.join(self.tokens)}")
        return tree

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, wanted: str | None = None) -> str:
        token = self.next
        if token is None or wanted not in (None, token):
            raise ValueError(f"{wanted or 'more'} is missing at {self.at} of {' '.join(self.tokens)}")
        self.at += 1
        return token

    def sum(self) -> tuple:
        negative = self.next == "−" and bool(self.take())
        tree = self.product()
        tree = ("−", ("number", 0.0), tree) if negative else tree
        while self.next in ("+", "−"):
            tree = (self.take(), tree, self.product())
        return tree

    def product(self) -> tuple:
        tree = self.power()
        while (token := self.next) is not None and token not in "+−)],=<>≤≥⌋⌉|^":
            if token in "/·":
                self.take()
            tree = ("/" if token == "/" else "·", tree, self.power())
        return tree

    def power(self) -> tuple:
        tree = self.atom()
        while self.next == "^":
            self.take()
            tree = ("^", tree, self.atom())
        return tree

    def atom(self) -> tuple:
        token = self.take()
        if token == "(":
            return self.closing(")")
        if token in "⌊⌈":
            return ("call", "floor" if token == "⌊" else "ceil", self.closing("⌋" if token == "⌊" else "⌉"))
        if token == "|":
            return ("call", "abs", self.closing("|"))
        if token == "[":
            left, sign, right = self.sum(), self.take(), self.sum()
            self.take("]")
            return ("[]", sign, left, right)
        if token == "√":
            return ("call", "sqrt", self.atom())
        if token in FUNCTIONS:
            return ("call", token, *self.arguments())
        if token == "½":
            return ("number", 0.5)
        if token in ("π", "e"):
            return ("number", math.pi if token == "π" else math.e)
        return ("number", float(token)) if token[0].isdigit() else ("symbol", token)

    def closing(self, bracket: str) -> tuple:
        tree = self.sum()
        self.take(bracket)
        return tree

    def arguments(self) -> list[tuple]:
        if self.next != "(":
            return [self.power()]
        self.take()
        found = [self.sum()]
        while self.next == ",":
            self.take()
            found.append(self.sum())
        self.take(")")
        return found


def symbols(tree: tuple) -> set[str]:
    """The letters that stand in a tree."""
    if tree[0] == "symbol":
        return {tree[1]}
    return set().union(*(symbols(part) for part in tree if isinstance(part, tuple)))
