"""Reads formulas between matrices and vectors (`αAᵀ G`, `y ⊙ (g − Σ g⊙y)`) and computes them with SymPy's matrices."""

import re
from collections.abc import Mapping

import sympy

TOKEN = re.compile(r"x̂|dS|mean|exp|[⊙Σᵀ()/−+]|\w")


def evaluate(formula: str, letters: Mapping[str, sympy.Expr | sympy.MatrixBase]):
    """The right side of `∂L/∂A = …`."""
    reader = Reader(TOKEN.findall(formula.split(" = ", 1)[1]), letters)
    found = reader.sum()
    assert reader.at == len(reader.tokens), f"cannot read {formula}"
    return found


def is_matrix(x) -> bool:
    return isinstance(x, sympy.MatrixBase)


def spread(x, like):
    """A number beside a matrix stands in every entry."""
    return x * sympy.ones(*like.shape) if is_matrix(like) and not is_matrix(x) else x


class Reader:
    """Sum, product of matrices or by a number, product of entries, atom."""

    def __init__(self, tokens: list[str], letters: Mapping) -> None:
        self.tokens, self.letters, self.at = tokens, letters, 0

    @property
    def next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def sum(self):
        found = self.product()
        while self.next in ("+", "−"):
            sign = 1 if self.take() == "+" else -1
            other = self.product()
            found = spread(found, other) + sign * spread(other, found)
        return found

    def product(self):
        found = self.entrywise()
        while self.next and self.next not in "+−)":
            if self.next == "/":
                self.take()
                found = found / self.entrywise()
            else:
                found = found * self.entrywise()
        return found

    def entrywise(self):
        found = self.atom()
        while self.next == "⊙":
            self.take()
            found = found.multiply_elementwise(self.atom())
        return found

    def atom(self):
        token = self.take()
        if token == "(":
            found = self.sum()
            assert self.take() == ")"
        elif token == "Σ":
            return sum(self.entrywise())
        elif token in ("mean", "exp"):
            inside = self.atom()
            return sum(inside) / len(inside) if token == "mean" else inside.applyfunc(sympy.exp)
        else:
            found = self.letters[token]
        if self.next == "ᵀ":
            self.take()
            found = found.T
        return found
