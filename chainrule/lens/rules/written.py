"""The rules as a person reads them: one in full, all as tables, or as the page of the documentation."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from chainrule.lens.rules.book import RuleBook, RuleEntry
from chainrule.show import WIDTH, table_lines

HEADS = ("operation", "computes", "derivatives")

INTRODUCTION = """# The rules of differentiation

<!-- written by: chainrule lens rules --format md > docs/lens/rules.md -->

{n_names} operations of PyTorch, {n_rules} rules. The lens walks back with these and with nothing of autograd.
`chainrule lens rules gelu` shows one in full, with its LaTeX, its convention and its source; `chainrule lens rules
--json` has all of it.

How to read them:

- Operations are called as PyTorch calls them below autograd; in place or not (`relu`, `relu_`) and overloads
  (`mul.Tensor`, `mul.Scalar`) share a rule.
- y is the result. g, or G for a matrix, is the gradient ∂L/∂y that arrives from behind. `∂y/∂x` is a local derivative:
  what is handed on is g times it, summed over the axes along which x was repeated. `∂L/∂X` is what is handed on itself.
- ⊙ is the product element by element. [x > 0] is 1 where the condition holds and 0 elsewhere. σ is the logistic
  function (in norms, the standard deviation), Φ and φ the normal distribution and its density.
- Losses are of one element; averaged over N, the gradient is divided by N.

At corners a choice has to be made, and it is torch's: relu at 0 hands on 0, maximum gives equal numbers half each,
clamp hands on at its bounds. The formulas say it: ≥ or >.

How they are proved, at every run of the tests:

- against central differences with Ridders' extrapolation, which know nothing of derivatives;
- against torch's forward mode: ⟨Jv, u⟩ = ⟨v, Jᵀu⟩;
- against autograd, to 1e-13 in float64. Some exceptions are torch's: in torch 2.13 the float64 gradients of
  `hardsigmoid` and `celu` are off by up to 3e-8, that of `digamma` by 5e-10, and differences agree with the rules;
- SymPy proves that the formula shown here is the derivative of the value shown here, for every operation on single
  numbers; and the formula, read from its text and from its LaTeX, gives the numbers that the rule gives;
- the dispatcher's log of the walk back has no autograd and no `*_backward` in it.

A new rule is one function, one line in its table, and one sample; a test fails until it has one.

Complex numbers: the gradient of x is ∂L/∂re x + i·∂L/∂im x, the direction in which L grows most, as torch has it. A
rule that says ∂y/∂x then hands on g times its conjugate, and ᵀ stands for ᴴ; where y has no complex derivative (|x|,
re x, singular values), the formula is the whole truth.

Gradients of gradients (gradient penalties, MAML, products of the Hessian): torch's `*_backward` operations have rules
that nobody wrote. The arithmetic of the rule itself is recorded, and walked back by the rules.

Some rules are made of others: a solver of triangular systems, `grid_sample` of corners and weights. Their formula says
what comes of it.

Where torch 2.13 is wrong, and the rules and differences agree against it: `ctc_loss` of what is not normalised, `ldexp`
with whole exponents, `as_strided_scatter`, `cholesky_solve` and `cholesky_inverse` of a factor whose other triangle is
not 0, `digamma` beyond the tenth digit.

LSTM on a GPU (cuDNN) and attention that draws its dropout inside the kernel have no rule: move the
model to the CPU, or ask for the plain kernels with `torch.nn.attention.sdpa_kernel(SDPBackend.MATH)`.
"""


def derivatives(entry: RuleEntry) -> list[str]:
    """The formula of each argument, each once."""
    return list(dict.fromkeys(formula.text for formula in entry.rule.formulas.values()))


def rule_facts(entry: RuleEntry) -> dict[str, Any]:
    """The entry as JSON can hold it."""
    rule = entry.rule
    return {
        "names": list(entry.names),
        "chapter": entry.chapter,
        "value": {"text": rule.value.text, "latex": rule.value.latex},
        "derivatives": {
            argument: {"letter": rule.names.get(argument), "text": formula.text, "latex": formula.latex}
            for argument, formula in rule.formulas.items()
        },
        "note": entry.note,
        "file": entry.file,
    }


def in_full(entry: RuleEntry) -> Iterator[str]:
    """One rule: formulas in both writings, letters, conventions, source."""
    rule = entry.rule
    yield f"{', '.join(entry.names)}   ({entry.chapter}, {entry.file})"
    yield ""
    yield f"  {rule.value.text}"
    yield from (f"  {text}" for text in derivatives(entry))
    letters = ", ".join(f"{letter} = {argument}" for argument, letter in rule.names.items())
    yield f"\nLetters: {letters}" if letters else ""
    yield f"\n{entry.note}\n"
    yield "LaTeX:"
    yield f"  {rule.value.latex}"
    yield from (f"  {latex}" for latex in dict.fromkeys(formula.latex for formula in rule.formulas.values()))
    yield "\nSource:"
    yield from (f"  {line}" for line in entry.source.rstrip().splitlines())


def book_facts(book: RuleBook) -> dict[str, Any]:
    """All entries as JSON can hold them."""
    return {"rules": [rule_facts(entry) for entry in book]}


def book_lines(book: RuleBook, width: int = WIDTH) -> list[str]:
    """A table for each chapter: the operations, what they compute, and below each other its derivatives."""
    lines: list[str] = []
    for chapter, some in groupby(book, lambda entry: entry.chapter):
        rows = [row for entry in some for row in _rows(entry)]
        lines += ["", chapter, *table_lines(HEADS, rows, width, shrink=HEADS, flow=HEADS[:1])]
    return lines


def _rows(entry: RuleEntry) -> Iterator[tuple[str, str, str]]:
    first, *others = derivatives(entry)
    yield ", ".join(entry.names), entry.rule.value.text, first
    yield from (("", "", other) for other in others)


def rules_page(book: RuleBook) -> str:
    """The page of the documentation, in Markdown."""
    lines = [INTRODUCTION.format(n_names=sum(len(entry.names) for entry in book), n_rules=len(book))]
    for chapter, some in groupby(book, lambda entry: entry.chapter):
        lines += [f"## {chapter}", "", "| operation | computes | derivatives | |", "|---|---|---|---|"]
        for entry in some:
            cells = (
                ", ".join(f"`{name}`" for name in entry.names),
                entry.rule.value.text,
                "<br>".join(derivatives(entry)),
                " ".join(entry.note.split()),
            )
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
