"""The ledger in a terminal: nothing is lost, nothing is wider than the terminal."""

import re

import pytest
import torch
from rich.cells import cell_len

from chainrule.base import LensError
from chainrule.config import ModelConfig
from chainrule.lens import Policy, ledger, network, neuron, record
from chainrule.lens.ledgers import ledger_lines, path_lines
from chainrule.lens.ledgers.folding import fitting_depth, fold, levels
from chainrule.lens.ledgers.text_path import moves
from chainrule.model import GPT
from chainrule.show import cut, table_lines, wrapped

NEURON = """neuron: the loss is 0.085188; 4 operations back to 2 gradients

#  node                 value  formula                         incoming  outgoing
4  loss = BCE(a, y)  0.085188  ∂loss/∂a = (a − y)/(a(1 − a))   1.000000  a: -1.088922
3  a = sigmoid(z)    0.918340  ∂a/∂z = a(1 − a)               -1.088922  z: -0.081660
2  z = u + b         2.420000  ∂z/∂u = 1                      -0.081660  u: -0.081660
                               ∂z/∂b = 1                                 b: -0.081660
1  u = x · w         2.420000  ∂u/∂w = x                      -0.081660  w: -0.089826""".splitlines()


@pytest.fixture(scope="module")
def book():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT(ModelConfig(vocab_size=40, context_length=8, emb_dim=8, n_heads=2, n_layers=2)).eval()
        ids = torch.randint(0, 40, (2, 9))
    tape = record(model.loss, ids[:, :-1], ids[:, 1:])
    return ledger(tape, coordinate=("blocks.0.attention.qkv", (3, 7)))


def test_the_neuron_is_written_as_in_a_textbook():
    assert ledger_lines(ledger(neuron().record()), title="neuron") == NEURON


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("depth", [None, 0, 1, 2, 9])
def test_no_line_is_wider_than_the_terminal(book, width, depth):
    assert all(cell_len(line) <= width for line in ledger_lines(book, depth=depth, width=width))
    assert all(cell_len(line) <= width for line in path_lines(book.coordinate, width=width))


def test_a_two_layer_gpt_fits_a_screen_by_itself(book):
    assert len(ledger_lines(book)) <= 40
    assert fitting_depth(book.rows) > 0


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_folded_lines_hold_every_operation_once(book, depth):
    folds = fold(book, book.rows, depth)
    assert [row for one in folds for row in one.rows] == list(book.rows)
    assert all(len(levels(one.module)) <= depth for one in folds)


def test_what_leaves_one_module_arrives_at_the_next(book):
    """On every border the parts that left add up to the gradient that comes in."""
    folds = fold(book, book.rows, 2)
    left: dict[int, list[float]] = {}
    for one in folds:
        for value, came in one.incoming:
            if value in left and len(left[value]) == 1:
                assert came.norm == pytest.approx(left[value][0], rel=1e-6)
        for value, part in one.outgoing:
            left.setdefault(value, []).append(part.norm)
    assert left


def test_every_operation_of_a_module_is_shown_and_no_other(book):
    lines = ledger_lines(book, module="blocks.1.attention", depth=0)
    numbers = {int(found[1]) - 1 for line in lines if (found := re.match(r" *(\d+)  ", line))}
    assert numbers == {row.node for row in book.rows if row.module.startswith("blocks.1.attention")} - {
        row.node for row in book.rows if row.module.startswith("blocks.1.attention_norm")
    }


def test_an_unknown_module_is_answered_with_the_nearest(book):
    with pytest.raises(LensError, match="Did you mean 'blocks"):
        ledger_lines(book, module="blocks.1.atention")


def test_the_sum_at_a_tied_weight_is_written_out(book):
    (line,) = [line for line in ledger_lines(book) if line.startswith("⊕ token_embedding.weight")]
    first, second, total = (float(number) for number in re.findall(r"‖([\d.]+)‖", line))
    assert total <= first + second + 1e-3


def test_the_path_names_every_step_and_ends_at_the_gradient(book):
    lines = path_lines(book.coordinate)
    assert lines[0].startswith("blocks.0.attention.qkv.weight[3, 7] = ")
    (ending,) = [line for line in lines if line.startswith("so ∂loss/")]
    assert float(ending.split(" = ")[1]) == pytest.approx(book.coordinate.gradient, rel=1e-7)
    text = " ".join(lines)
    for step in book.coordinate.steps:
        if step.n_terms > 1:
            assert f"sum of {step.n_terms} products" in text


def test_printed_products_add_up_to_the_printed_sum(book):
    lines = [line.strip() for line in path_lines(book.coordinate)]
    found = 0
    for at, line in enumerate(lines):
        if re.match(r"sum of \d+ products", line):
            start = max(i for i in range(at) if lines[i].startswith("#"))
            parts = [float(re.search(r" = (\S+)", one)[1]) for one in lines[start + 1 : at]]
            assert sum(parts) == pytest.approx(float(line.split(" = ")[1]), rel=1e-5, abs=1e-7 * sum(map(abs, parts)))
            found += 1
    assert found > 5


@pytest.mark.parametrize(("seed", "way"), [(0, "up"), (0, "down")])
def test_the_way_that_training_moves_it_lowers_the_loss(seed, way):
    subject = network(seed)
    book = ledger(subject.record())
    weights = {book.tape.values[leaf.value].name: leaf.gradient.elements for leaf in book.leaves}
    signs = weights["hidden.weight"]
    place = (signs < 0 if way == "up" else signs > 0).nonzero()[0].tolist()
    path = ledger(subject.record(), coordinate=("hidden", tuple(place))).coordinate
    said = moves(path)
    assert f"moves it {way}" in said[0]
    before = float(subject.target(*subject.inputs).detach())
    with torch.no_grad():
        subject.target.__self__.hidden.weight[tuple(place)] = float(said[1].rsplit(" = ", 1)[1])
    assert float(subject.target(*subject.inputs).detach()) < before


def test_wide_letters_count_as_two_columns():
    lines = table_lines(("名", "value"), [("重み", "1"), ("b", "22")], right=("value",))
    assert len({cell_len(line) for line in lines}) == 1
    assert cell_len(cut("勾配勾配勾配", 7)) <= 7 and cut("勾配", 4) == "勾配"


@pytest.mark.parametrize("text", ["a = addmm(bias, x, weight)", "x" * 50, "勾配 " * 12, "one(two(three(four(five"])
@pytest.mark.parametrize("width", [6, 9, 20])
def test_wrapping_loses_no_letter(text, width):
    lines = wrapped(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def powers_and_products(a, b):
    c = a @ b
    t = torch.tanh(c)
    return (2.5 * t).sum()


def test_formulas_are_in_the_programs_words():
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(3, 2, requires_grad=True)
    text = "\n".join(ledger_lines(ledger(record(powers_and_products, a, b))))
    for formula in ("∂t/∂c = 1 − t²", "∂L/∂a = G bᵀ", "∂L/∂b = aᵀ G", "c = a @ b", "t · 2.5"):
        assert formula in text, text
    scaled = ledger_lines(ledger(record(lambda a, b, c: torch.addmm(c, a, b, alpha=3).sum(), a, b, torch.ones(2, 2))))
    assert any("∂L/∂a = 3·G bᵀ" in line for line in scaled)


def test_what_autograd_stood_in_for_is_said():
    lines = ledger_lines(ledger(neuron().record(), policy=Policy({}, fallback=True)))
    assert lines[-1].startswith("by autograd, not by a rule of ours: add.Tensor, binary_cross_entropy.default")
