"""What explain says of NumPy, of a tensor's facts, of numbers that do not fit, and what it proposes instead."""

import json
import warnings

import numpy as np
import pytest
import torch

from chainrule import lens
from chainrule.base import LensError

GIVEN = {
    "x": torch.arange(6.0).view(2, 3),
    "v": torch.arange(3.0),
    "i": torch.arange(3),
    "y": torch.arange(6.0).view(2, 3) - 3,
    "m": torch.tensor([[1.0, 0, 1], [0, 1, 0]]),
    "one": torch.tensor(1.0),
    "z": torch.zeros(2, 1, 3),
    "t": torch.tensor([0.0, 1.0]),
    "b": torch.tensor([True, False]),
    "q": torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)),
    "k": torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1)),
    "w": torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(2)),
    "c": torch.zeros(3, 8, 5),
    "a": np.arange(4.0).reshape(2, 2),
    "grad": torch.ones(2, requires_grad=True),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "words": torch.zeros(2, 4, dtype=torch.int64),
    "scores": torch.zeros(2, 4, 5),
}


def explained(expression):
    found = lens.explain(expression, **GIVEN)
    assert max(map(len, found.text().splitlines())) <= 100
    json.loads(lens.render(found, "json"))
    return found


@pytest.mark.parametrize(
    ("expression", "memory"),
    [
        ("x.numpy()", "shares the memory of x"),
        ("np.asarray(x)", "shares the memory of x"),
        ("numpy.array(x)", "new memory"),
        ("torch.from_numpy(a)", "shares the memory of a"),
        ("torch.as_tensor(a)", "shares the memory of a"),
        ("torch.from_numpy(x.numpy())", "shares the memory of x.numpy()"),
        ("np.array([1, 2])", "new memory"),
    ],
)
def test_of_numpy_it_is_said_whether_memory_is_shared(expression, memory):
    found = explained(expression)
    assert found.steps[-1].memory == memory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about torch
        real = eval(expression, {"torch": torch, "np": np, "numpy": np, **GIVEN})
    assert type(found.value) is type(real)
    assert str(found.value.dtype) == str(real.dtype)
    assert np.array_equal(np.asarray(found.value), np.asarray(real))


def test_a_write_to_what_is_said_to_be_shared_is_seen_on_the_other_side():
    x = torch.zeros(2)
    lens.explain("x.numpy()", x=x).value[0] = 5
    assert x.tolist() == [5, 0]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("torch.from_numpy(a)", "NumPy's floats are float64 and torch's default is float32"),
        ("np.array([1, 2])", "int64"),
        ("x.to(torch.float64).numpy()", "float64, as before"),
    ],
)
def test_of_numpy_the_number_type_is_said(expression, said):
    assert said in explained(expression).steps[-1].dtype


def test_lists_of_numbers_are_told_as_copies():
    found = explained("x.tolist()")
    assert found.value == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert "copied" in found.steps[-1].rule


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("grad.numpy()", "grad.detach().numpy()"),
        ("half.numpy()", "half.float().numpy()"),
        ("torch.from_numpy(x)", "x"),
        ("torch.from_numpy([1, 2])", "torch.tensor([1, 2])"),
        ("x.expand(4, 3)", "x.repeat(2, 1)"),
        ("v.expand(3, 4)", "v.unsqueeze(1).expand(3, 4)"),
        ("F.cross_entropy(x, t)", "F.cross_entropy(x, t.long())"),
        ("F.nll_loss(x, t)", "F.nll_loss(x, t.long())"),
        ("F.cross_entropy(scores, words)", "F.cross_entropy(scores.reshape(-1, 5), words.reshape(-1))"),
        ("x.masked_fill(m, 0)", "x.masked_fill(m.bool(), 0)"),
        ("x.masked_select(m)", "x.masked_select(m.bool())"),
        ("torch.where(m, x, y)", "torch.where(m.bool(), x, y)"),
        ("x & y", "x.bool() & y.bool()"),
        ("~x", "~x.bool()"),
        ("x[t]", "x[t.long()]"),
        ("F.embedding(t, x)", "F.embedding(t.long(), x)"),
        ("F.one_hot(v)", "F.one_hot(v.long())"),
        ("torch.einsum('ij,jk->iz', x, y.T)", "torch.einsum('ij,jk->ik', x, y.T)"),
        ("torch.einsum('ij,ij->ii', x, y)", "torch.einsum('ij,ij->i', x, y)"),
        ("q @ c", "q.unsqueeze(1) @ c"),
        ("torch.bmm(q, c)", "q.unsqueeze(1) @ c"),
        ("F.layer_norm(x, (4,))", "F.layer_norm(x, (3,))"),
        ("F.rms_norm(x, normalized_shape=(4,))", "F.rms_norm(x, normalized_shape=(3,))"),
        ("F.layer_norm(x, 3)", "F.layer_norm(x, (3,))"),
        ("i.softmax(0)", "i.float().softmax(0)"),
    ],
)
def test_the_remedy_is_proposed_first_and_works(expression, hint):
    found = explained(expression)
    assert not found
    assert found.broken.hints[0] == hint
    assert explained(hint)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("F.cross_entropy(x, i[:2] + 2)", "class 3 is none of the 3"),
        ("F.embedding(i, x)", "id 2 is none of the table's 2 rows"),
        ("F.group_norm(x, 2)", "do not divide into 2 groups"),
        ("torch.einsum('ij,jk->iz', x, y.T)", "'z' of the output is in no operand"),
        ("torch.einsum('ij,jk', x)", "names 2 operands, and 1 were given"),
        ("len(one)", "a scalar has no axis"),
        ("F.scaled_dot_product_attention(q, k, w)", "a wrong program"),
        ("F.scaled_dot_product_attention(query=q, key=k, value=w)", "5 keys and 6 values"),
    ],
)
def test_why_it_breaks_is_said(expression, why):
    assert why in explained(expression).broken.why


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("x.ndim", "a matrix"),
        ("x.dim()", "how many axes"),
        ("x.shape", "axis 0 has 2, axis 1 has 3; 2·3 = 6 elements"),
        ("one.shape", "a scalar"),
        ("x.dtype", "24 bits of precision"),
        ("len(x)", "axis 0 alone"),
        ("x.numel()", "2·3 = 6"),
        ("x.is_contiguous()", "row by row"),
        ("x.numpy().shape", "axis 0 has 2"),
        ("z.squeeze(0)", "nothing happened: axis 0 has size 2"),
        ("x.squeeze()", "nothing happened: no axis has size 1"),
        ("z.squeeze(1)", "axis 1, of size 1, goes"),
        ("z.squeeze((0, 1))", "axis 0 has size 2 and stays"),
        ("x.view(2, 3)", "nothing happened"),
        ("x.permute(0, 1)", "nothing happened"),
        ("x.expand(2, 3)", "nothing happened"),
        ("x.repeat(2, 1)", "axis 0 of 2, 2 times"),
        ("x.repeat(4, 1, 1)", "axis 0 is new and counts 4 copies"),
        ("i.chunk(2)", "axis 0 of 3 cut into 2: 2 + 1"),
        ("torch.arange(5).chunk(4)", "4 were asked for"),
        ("i.split(2)", "the last is what is left"),
        ("x.as_strided((2, 2), (1, 2))", "1·i + 2·j"),
        ("x.as_strided((2, 2), (1, 1))", "read more than once"),
        ("F.scaled_dot_product_attention(q, k, k)", "each of 4 queries weighs 5 values"),
        ("x // 2", "rounded down"),
    ],
)
def test_it_is_said_in_words(expression, said):
    assert said in explained(expression).steps[-1].rule


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("i.to(torch.int8) + 200", "200 became -56"),
        ("i.to(torch.uint8) - 1", "-1 became 255"),
        ("(x * 100).to(torch.int8)", "200 became -56"),
        ("(i + 1).to(torch.int32) * 2000000000", "do not fit int32"),
        ("torch.tensor(9223372036854775807) + 1", "do not fit int64"),
        ("(i.to(torch.int8) + 100).abs() * 2", "wraps around"),
        ("x.half() * 1e5", "5 of 6 became infinite (float16 ends at 6.55e+04)"),
        ("torch.log(x)", "1 of 6 became infinite"),
        ("torch.sqrt(y)", "3 of 6 became NaN"),
        ("x + True", "True counting as 1: float32 stays"),
        ("x // 2", "// keeps the number type of its operands, float32"),
        ("i // 2", "int64"),
        ("b + b", "+ is or"),
    ],
)
def test_of_numbers_and_their_types_it_is_said(expression, said):
    assert said in explained(expression).steps[-1].dtype


@pytest.mark.parametrize("expression", ["i + 1", "i.to(torch.int8) + 100", "x * 2", "x.sum()", "i.abs()", "x.exp()"])
def test_of_numbers_that_fit_nothing_is_said(expression):
    assert "became" not in explained(expression).steps[-1].dtype


@pytest.mark.parametrize(
    "call", ["torch.load('f')", "torch.save(x, 'f')", "x.data_ptr()", "np.load('f')", "x.backward()"]
)
def test_what_is_rightly_spelled_is_not_taken_for_another_word(call):
    with pytest.raises(LensError) as caught:
        lens.explain(call, **GIVEN)
    assert "Did you mean" not in str(caught.value)
    assert "explain what it gives" in str(caught.value)


ODD = {
    "x": torch.arange(6.0).view(2, 3),
    "i": torch.arange(6, dtype=torch.int8).view(2, 3),
    "c": torch.ones(2, 3, dtype=torch.complex64),
    "s": torch.tensor(3),
    "e": torch.zeros(0, 3),
    "meta": torch.empty(2, 3, device="meta"),
    "n": torch.tensor([torch.nan, torch.inf, 1.0]),
}
CALLS_ON_ODD = """
F.cross_entropy({0}, {0}) | F.embedding({0}, x) | F.embedding(i.long(), {0}) | F.layer_norm({0}, (3,)) | {0} // 2
F.scaled_dot_product_attention({0}, x, {0}) | torch.einsum('ij->iz', {0}) | {0}.expand(4, 3) | {0}.squeeze((0, 1))
np.array({0}) | torch.from_numpy({0}) | len({0}) | {0}.as_strided((2, 2), (0, 1)) | {0} ** 99
{0}.sum(dtype=torch.int8) | {0}.repeat(0, 2) | {0}.chunk(5)
"""


@pytest.mark.parametrize("name", ODD)
def test_odd_tensors_break_or_not_and_never_the_explanation(name):
    for call in CALLS_ON_ODD.replace("\n", "|").split("|"):
        if call.strip():
            lens.explain(call.strip().format(name), **ODD).text()


CUTS = {"as_strided": "(2,), (1,)", "unbind": "", "narrow": "1, 0, 2", "select": "1, 0", "repeat": "2, 2"}


@pytest.mark.parametrize("name", [*CUTS, "split", "chunk", "tile"])
def test_operations_that_cut_and_repeat_have_words(name):
    assert explained(f"x.{name}({CUTS.get(name, '2')})").steps[-1].rule


@pytest.mark.parametrize(
    ("call", "why", "hint"),
    [
        ("F.binary_cross_entropy(y, x)", "probabilities, 0 to 1, and these go from -3 to 2", "_with_logits(y, x)"),
        ("x.repeat(2)", "a number for each of the 2 axes of 2×3, and got 1", "x.repeat(1, 2)"),
        ("x.max(1) + 1", "gives 2 results, and one tensor is wanted", "x.max(1).values + 1"),
        ("x.flatten(0, 3)", "there is no axis 3: a tensor of rank 2", ""),
        ("x.chunk(2, 2)", "there is no axis 2: a tensor of rank 2", ""),
        (
            "x.index_select(0, t)",
            "an index is of whole numbers (int64), and this one is float32",
            "x.index_select(0, t.long())",
        ),
        ("x.gather(1, i)", "as many axes as what it picks from, 2, and this one has 1", ""),
    ],
)
def test_what_does_not_fit_an_operation_is_said_with_what_would_do(call, why, hint):
    broken = explained(call).broken
    assert why in broken.why
    assert any(hint in one for one in broken.hints) or not hint
