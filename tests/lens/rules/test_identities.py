"""SymPy proves the formulas between matrices and vectors, entry by entry, as they are displayed."""

import pytest
import sympy
from lens.rules.matrix_language import evaluate

from chainrule.lens.rules import RULES


def matrix(name, rows, columns=1):
    return sympy.Matrix(rows, columns, lambda i, j: sympy.Symbol(f"{name}{i}{j}", real=True))


def gradient(loss, x):
    return x.applyfunc(lambda entry: sympy.diff(loss, entry))


def proves(name, argument, letters, loss, by):
    shown = evaluate(RULES[name].formulas[argument].text, letters)
    shown = sympy.Matrix([[shown]]) if not isinstance(shown, sympy.MatrixBase) else shown
    return all(sympy.simplify(entry) == 0 for entry in gradient(loss, by) - shown)


def total(g, y):
    return sum(a * b for a, b in zip(g, y, strict=True))


A, B, C, G = matrix("a", 2, 3), matrix("b", 3, 2), matrix("c", 2, 2), matrix("g", 2, 2)
ALPHA, BETA, S = sympy.symbols("alpha beta s")
X, U, V = matrix("x", 3), matrix("u", 2), matrix("v", 2)
SMALL_C, SMALL_G = matrix("c", 2), matrix("g", 2)
SCALES = {"α": ALPHA, "β": BETA}


@pytest.mark.parametrize("name", ["mm", "bmm"])
def test_products_of_matrices(name):
    letters = {"A": A, "B": B, "G": G}
    loss = total(G, A * B)
    assert proves(name, "self", letters, loss, A)
    assert proves(name, "mat2", letters, loss, B)


@pytest.mark.parametrize(("name", "first", "second"), [("addmm", "mat1", "mat2"), ("baddbmm", "batch1", "batch2")])
def test_products_that_are_added(name, first, second):
    letters = {"A": A, "B": B, "C": C, "G": G, **SCALES}
    loss = total(G, BETA * C + ALPHA * A * B)
    for argument, by in (("self", C), (first, A), (second, B)):
        assert proves(name, argument, letters, loss, by)


def test_matrix_times_vector():
    letters = {"A": A, "x": X, "g": SMALL_G, "c": SMALL_C, **SCALES}
    for argument, by in (("self", A), ("vec", X)):
        assert proves("mv", argument, letters, total(SMALL_G, A * X), by)
    loss = total(SMALL_G, BETA * SMALL_C + ALPHA * A * X)
    for argument, by in (("self", SMALL_C), ("mat", A), ("vec", X)):
        assert proves("addmv", argument, letters, loss, by)


def test_outer_and_inner_products():
    letters = {"C": C, "u": U, "v": V, "G": G, **SCALES}
    loss = total(G, BETA * C + ALPHA * U * V.T)
    for argument, by in (("self", C), ("vec1", U), ("vec2", V)):
        assert proves("addr", argument, letters, loss, by)
    g = sympy.Symbol("g")
    for argument, by in (("self", U), ("tensor", V)):
        assert proves("dot", argument, {"a": U, "b": V, "g": g}, g * (U.T * V)[0], by)


G3 = matrix("g", 3)


def test_softmax_and_its_logarithm():
    y = X.applyfunc(sympy.exp) / sum(X.applyfunc(sympy.exp))
    assert proves("_softmax", "self", {"y": y, "g": G3}, total(G3, y), X)
    logarithm = y.applyfunc(sympy.log)
    assert proves("_log_softmax", "self", {"y": logarithm, "g": G3}, total(G3, logarithm), X)


def test_layer_norm():
    w, b, epsilon = matrix("w", 3), matrix("b", 3), sympy.Symbol("epsilon", positive=True)
    mean = sum(X) / 3
    deviation = sympy.sqrt(sum((x - mean) ** 2 for x in X) / 3 + epsilon)
    hat = (X - mean * sympy.ones(3, 1)) / deviation
    loss = total(G3, hat.multiply_elementwise(w) + b)
    letters = {"g": G3, "w": w, "x̂": hat, "σ": deviation}
    assert proves("native_layer_norm", "input", letters, loss, X)
    assert (gradient(loss, w) - G3.multiply_elementwise(hat)).is_zero_matrix


def test_cross_entropy_is_softmax_minus_one_at_the_target():
    """The two rules one after the other: (softmax(x) − [i = t])/N, with N = 1."""
    exponentials = X.applyfunc(sympy.exp)
    y = (exponentials / sum(exponentials)).applyfunc(sympy.log)
    target = 1
    from_loss = sympy.Matrix([-1 if i == target else 0 for i in range(3)])
    shown = evaluate(RULES["_log_softmax"].formulas["self"].text, {"y": y, "g": from_loss})
    difference = gradient(-y[target], X) - shown
    assert all(sympy.simplify(entry) == 0 for entry in difference)


def test_attention():
    """Two queries, two keys: dS = P⊙(G Vᵀ − Σ G⊙Y), with the sum along each row."""
    q, k, v = matrix("q", 2, 1), matrix("k", 2, 1), matrix("v", 2, 1)
    g = matrix("g", 2, 1)
    scores = S * q * k.T
    rows = scores.applyfunc(sympy.exp)
    p = sympy.Matrix(2, 2, lambda i, j: rows[i, j] / (rows[i, 0] + rows[i, 1]))
    y = p * v
    taken = sympy.Matrix(2, 2, lambda i, _: g[i] * y[i])
    d_scores = p.multiply_elementwise(g * v.T - taken)
    letters = {"s": S, "dS": d_scores, "Q": q, "K": k, "P": p, "G": g}
    rule = RULES["_scaled_dot_product_flash_attention_for_cpu"].formulas
    for argument, by in (("query", q), ("key", k), ("value", v)):
        shown = evaluate(rule[argument].text.split(", dS = ")[0], letters)
        assert all(sympy.simplify(entry) == 0 for entry in gradient(total(g, y), by) - shown)
