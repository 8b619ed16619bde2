"""Explain is safe, says the shapes that torch gives, and what it proposes works."""

import json
import random

import pytest
import torch
from torch import Tensor

from chainrule import lens
from chainrule.base import LensError
from chainrule.lens.expressions import names, written_tensor
from chainrule.lens.expressions.parse import ALLOWED

GIVEN = {
    "x": torch.arange(6.0).view(2, 3),
    "y": torch.arange(12.0).view(4, 3),
    "s": torch.arange(4.0).view(2, 2),
    "i": torch.arange(3),
    "b": torch.arange(30.0).view(5, 2, 3),
    "m": torch.tensor([True, False, True]),
    "c": torch.tensor(2.0, dtype=torch.float64),
}


def explained(expression):
    return lens.explain(expression, **GIVEN)


EXPRESSIONS = """
x @ y.T
x.view(3, 2).T
b @ x.T
x.T @ x
(x + i) / 2
i // 2
i / 2
i ** 2
-x
~m
x > 2
(x > 2) & (x < 5)
x.sum()
x.sum(dim=1, keepdim=True)
b.mean((0, 2))
x.max(dim=1).values
x.argmax(-1)
x.softmax(-1)
x.cumsum(0)
x.reshape(-1)
x.flatten()
b.permute(2, 0, 1)
b.transpose(0, 1)
b.mT
x.unsqueeze(0).squeeze()
x[None].expand(4, 2, 3)
x[0]
x[:, 1:]
x[..., -1]
b[0, :, None, 2]
x[:, m]
x[:, i]
x[[0, 1], [1, 2]]
x[-1, ::2]
y[y > 3]
torch.cat([x, y])
torch.cat([x, x], dim=-1)
torch.stack([x, x], 1)
torch.where(x > 1, x, 0)
torch.einsum('ij,kj->ik', x, y)
torch.zeros(2, 3)
torch.arange(3) * i
torch.tensor([[1, 2], [3, 4]])
torch.eye(3, dtype=torch.float64)
torch.ones_like(x)
F.relu(x - 2)
F.linear(x, y)
F.layer_norm(x, (3,))
torch.nn.functional.silu(x)
torch.linalg.norm(x)
F.one_hot(i, 4)
x.to(torch.int64)
x.double()
x.bool()
x.clone()
x.contiguous()
x.T.contiguous()
x.shape[0] * x
x.view(*x.shape, 1)
x * c
i + c
i + 1.5
m + 1
x.size(0)
i.sum().item()
x.split(1)
x.chunk(3, dim=1)
x.repeat(2, 2)
m | ~m
""".strip().splitlines()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_value_and_every_shape_are_those_of_torch(expression):
    found = explained(expression)
    expected = eval(expression, {"torch": torch, "F": torch.nn.functional, **GIVEN})
    assert found and found.broken is None
    for mine, real in zip(flat(found.value), flat(expected), strict=True):
        assert torch.equal(mine, real) if isinstance(real, Tensor) else mine == real
    if not expression.endswith(".values"):  # reading a field is no step
        last = [one.shape for one in found.steps[-1].results]
        assert last == [tuple(one.shape) if isinstance(one, Tensor) else None for one in flat(expected)]
    for width in (100, 70):
        assert max(map(len, found.text(width).splitlines())) <= width
    json.loads(lens.render(found, "json"))


def flat(value):
    return [one for inner in value for one in flat(inner)] if isinstance(value, tuple | list) else [value]


BROKEN = {
    "x @ y": ((3, 4), "inner sizes"),
    "s @ x.T": ((2, 3), "inner sizes"),
    "b @ i.float().view(1, 3)": ((3, 1), "inner sizes"),
    "x + s": ((3, 2), "axis -1"),
    "b * y": ((2, 4), "axis -2"),
    "x.view(4, 2)": ((6, 8), "number of elements"),
    "x.view(-1, 4)": ((6, 4), "no multiple"),
    "x.T.view(6)": (None, "stride"),
    "torch.cat([x, s])": ((3, 2), "along axis 0"),
    "torch.stack([x, y])": ((2, 4), "equal shapes"),
    "x[2]": ((2, 2), "beyond axis 0"),
    "x[0, 1, 2]": ((3, 2), "3 indices for 2 axes"),
    "x[m]": (None, "mask"),
    "x.sum(2)": ((2, 2), "no axis 2"),
    "x.permute(0, 0)": ((2, 2), "named once"),
    "x.expand(2, 6)": ((3, 6), "size 1"),
    "i.mean()": (None, "fractions"),
    "x @ i": (None, "one number type"),
    "x.item()": ((6, 1), "one element"),
    "torch.mm(x, i)": (None, "ranks 2 and 2"),
    "torch.einsum('ij,jk', x, y)": ((3, 4), "'j'"),
    "F.linear(x, s)": ((3, 2), "input size"),
    "x @ 2": (None, ""),
    "torch.linalg.inv(x)": (None, ""),
    "F.relu(x, y, s, i)": (None, ""),
}


@pytest.mark.parametrize("expression", BROKEN)
def test_what_breaks_is_said_with_the_two_sizes_that_do_not_fit(expression):
    sizes, words = BROKEN[expression]
    found = explained(expression)
    assert not found and found.value is None
    assert found.broken.sizes == sizes
    assert words in found.broken.why
    text = found.text()
    assert "^" in text and "→ breaks" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("expression", [*BROKEN, "s + x", "y * x[:, 0]", "torch.cat([x, s.T], 0)", "torch.mm(x, y)"])
def test_every_hint_works(expression):
    for hint in explained(expression).broken.hints:
        assert explained(hint), hint


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("x @ y", "x @ y.T"),
        ("y.T @ x", "y @ x.T"),
        ("x @ i", "x @ i.float()"),
        ("x.T.view(6)", "x.T.reshape(6)"),
        ("x.view(6, 2)", "x.view(-1, 2)"),
        ("i.mean()", "i.float().mean()"),
        ("x + x[:, 0]", "x + x[:, 0].unsqueeze(-1)"),
        ("x - x.mean(1)", "x - x.mean(1, keepdim=True)"),
        ("x * i[:2]", "x * i[:2].unsqueeze(-1)"),
        ("torch.cat([x, s])", "torch.cat([x, s], dim=1)"),
    ],
)
def test_the_likely_meaning_is_proposed(expression, hint):
    assert hint in explained(expression).broken.hints


def test_the_broken_step_is_the_innermost_one_and_the_steps_before_it_are_kept():
    found = explained("(x.T + 1).view(3, 2) @ (x @ y).sum()")
    assert [step.source for step in found.steps] == ["x.T", "x.T + 1", "(x.T + 1).view(3, 2)"]
    assert found.broken.source == "x @ y"
    assert found.expression[found.broken.start : found.broken.end] == "x @ y"


def test_carets_stand_below_the_fragment_also_after_letters_of_two_bytes():
    found = lens.explain("ä + (x @ x)", ä=torch.ones(2), x=torch.ones(2, 3))
    expression, marks = found.text().splitlines()[4:6]
    start = marks.index("^")
    assert expression[start : marks.rindex("^") + 1] == "x @ x"


def test_a_long_expression_is_cut_around_the_place():
    found = explained(" + ".join(["x"] * 40) + " + (x @ x) + " + " + ".join(["x"] * 40))
    lines = found.text(80).splitlines()
    marks = next(line for line in lines if line.strip() and set(line.strip()) == {"^"})
    shown = lines[lines.index(marks) - 1]
    assert shown[marks.index("^") : marks.rindex("^") + 1] == "x @ x" and "…" in shown


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("x.view(6)", "a view of x"),
        ("x.T", "a view of x"),
        ("x[0]", "a view of x"),
        ("x.reshape(3, 2)", "a view of x"),
        ("x.T.reshape(6)", "new memory"),
        ("x.contiguous()", "x itself"),
        ("x.to(torch.float32)", "x itself"),
        ("x.clone()", "new memory"),
        ("x[:, i]", "new memory"),
    ],
)
def test_view_or_copy_is_what_sharing_says(expression, said):
    found = explained(expression)
    assert found.steps[-1].memory == said
    assert bool(lens.shares(GIVEN["x"], found.value)) is (said != "new memory")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("i + x", "a float wins"),
        ("i + 1.5", "a Python float beside int64 gives float32"),
        ("i / 2", "leaves the integers"),
        ("x > 1", "compared give bool"),
        ("x * c", "rank 0 does not widen"),
        ("x + x.double()", "the type that holds both"),
        ("m.sum()", "bool → int64"),
    ],
)
def test_promotion_of_dtypes_is_told(expression, words):
    assert words in explained(expression).steps[-1].dtype


def test_nothing_is_said_of_dtypes_where_nothing_is_converted():
    assert explained("x + x * 2").steps[-1].dtype == ""


def test_a_result_without_tensors_is_told_as_python_does():
    assert explained("x.shape").text().endswith("result: torch.Size([2, 3])")


def test_broadcasting_is_drawn_from_the_right():
    drawn = lens.explain("a + b", a=torch.zeros(8, 1, 6), b=torch.zeros(7, 1)).steps[0].drawing
    assert drawn == ("a       8  1  6", "b          7  1", "result  8  7  6")


def test_random_shapes_break_or_not_as_torch_has_it_and_never_without_words():
    chance, broken = random.Random(0), 0
    for _ in range(120):
        a, b = (torch.ones([chance.choice([1, 2, 3]) for _ in range(chance.randint(0, 3))]) for _ in range(2))
        expression = chance.choice(["a @ b", "a + b", "a * b"])
        try:
            shape = tuple(eval(expression, {"a": a, "b": b}).shape)
        except RuntimeError:
            shape = None
        found = lens.explain(expression, a=a, b=b)
        assert (tuple(found.value.shape) if found else None) == shape
        if not found:
            broken += 1
            assert found.broken.why != found.broken.error, (a.shape, b.shape)
    assert broken > 20


ATTACKS = """
__import__('os').system('true')
x.__class__
x.__class__.__mro__
().__class__.__bases__[0].__subclasses__()
torch.load('f')
torch.save(x, 'f')
torch.from_file('f', True, 4)
torch.ops.load_library('f')
torch.hub.load('a', 'b')
torch.os.system('true')
torch.nn.functional.torch.load('f')
torch.nn.functional.warnings
torch.serialization.load('f')
torch.utils.cpp_extension.load('f')
torch._C
torch.compile
torch.set_default_dtype(torch.float64)
torch.manual_seed(0)
torch.set_grad_enabled(False)
torch.empty(1000)
open('/etc/passwd')
eval('1')
exec('1')
getattr(x, 'data')
print(x)
lambda: 1
[one for one in x]
{one: 1 for one in x}
(z := x)
x if x else x
x and x
not x
x.data
x.numpy().tofile('f')
x.numpy().data
x.numpy() + 1
np.load('f')
np.save('f', x)
np.fromfile('f')
np.lib
np.array
len(x, x)
len
x.register_hook(print)
x.apply_(print)
x.map_(x, print)
x.add_(1)
x.zero_()
x.set_(x)
x.resize_(100)
x.data_ptr()
x.untyped_storage()
x.backward()
x.grad_fn
x.requires_grad_(True)
x.share_memory_()
x.new('f')
x.type('os.system')
torch.add(x, x, out=x)
F.relu(x, inplace=True)
F.relu(x, True)
F.dropout(x, 0.5, True, True)
F.embedding(i, x, max_norm=1.0)
F.embedding(i, x, None, 1.0)
f'{x}'
x.f
'a' * 10**9
10**10**10
1 << 10**9
[0] * 10**9
torch.zeros(10**6, 10**6)
torch.arange(10**12)
x.repeat(10**6, 10**6)
F.one_hot(i, 10**12)
F.pad(x, (10**8, 10**8, 10**8, 10**8))
x < x < x
x; x
x = 1
import os
*x
**x
b'1'
x[
x @
""".strip().splitlines()


@pytest.mark.parametrize("attack", ATTACKS)
def test_whatever_is_no_arithmetic_on_tensors_is_refused(attack):
    before = {name: one.clone() for name, one in GIVEN.items()}
    with pytest.raises(LensError):
        explained(attack)
    assert all(torch.equal(before[name], one) for name, one in GIVEN.items())


@pytest.mark.parametrize("text", ["", " ", "x" * 2001, "(" * 300 + "x" + ")" * 300, "-" * 500 + "x", "x\0", "'\ud800'"])
def test_texts_that_are_no_expressions_are_refused_too(text):
    with pytest.raises(LensError):
        explained(text)


def test_every_allowed_name_is_pure_it_returns_and_writes_to_nothing():
    """Each pointwise and reducing method leaves its tensor as it was; no name ends as writing ones do."""
    every = names.METHODS | names.FUNCTIONS | names.NN_FUNCTIONS | names.LINALG_FUNCTIONS | names.ATTRIBUTES
    assert not [name for name in every if name.startswith("_") or name.endswith("_")]
    one = torch.rand(3, 3)
    before = one.clone()
    for name in names.POINTWISE | names.REDUCTIONS - {"std_mean", "var_mean"}:
        lens.explain(f"x.{name}()", x=one)
        assert torch.equal(one, before) and one._version == 0, name


def test_nearest_names_and_remedies_are_in_the_message():
    for wrong, remedy in (
        ("x.veiw(6)", "Did you mean 'view'"),
        ("x.add_(1)", "writes in place; add makes"),
        ("x.sum", r"write .sum\(\)"),
        ("x.T()", "without brackets"),
        ("torch.relu6(x)", "It is in F"),
        ("xx + 1", "no tensor is called 'xx'; given are"),
        ("sum(x)", r"write x.sum\(\)"),
        ("torch.view(x, 6)", "As a method it is there"),
        ("torch.veiw(x, 6)", "Did you mean 'view'"),
        ("x and x", "& and | work element by element"),
    ):
        with pytest.raises(LensError, match=remedy):
            explained(wrong)
    with pytest.raises(LensError) as caught:
        explained("open('f')")
    assert ALLOWED in str(caught.value)


def test_a_large_result_is_refused_before_it_is_made_and_a_view_of_one_is_not():
    with pytest.raises(LensError, match="GiB"):
        lens.explain("a @ b", a=torch.zeros(1).expand(2**20, 1), b=torch.zeros(1).expand(1, 2**20))
    assert lens.explain("a.expand(1048576, 1048576)", a=torch.zeros(1, 1))


def test_random_numbers_leave_torchs_state_as_it_was():
    state = torch.random.get_rng_state()
    lens.explain("torch.randn(3) + torch.rand(3)")
    assert torch.equal(torch.random.get_rng_state(), state)


def test_gradients_pass_through():
    w = torch.ones(2, requires_grad=True)
    lens.explain("(w * 3).sum()", w=w).value.backward()
    assert w.grad.tolist() == [3.0, 3.0]


def test_warnings_of_torch_are_told_and_not_raised():
    assert "mT" in explained("b.T").steps[0].notes[0]


@pytest.mark.parametrize(
    ("text", "shape", "dtype"),
    [
        ("2x3", (2, 3), torch.float32),
        ("5:int64", (5,), torch.int64),
        ("()", (), torch.float32),
        ("2x2:bool", (2, 2), torch.bool),
        ("[[1, 2], [3, 4]]", (2, 2), torch.int64),
        ("[1.5, nan, -inf]:float64", (3,), torch.float64),
        ("2.5", (), torch.float32),
        ("torch.randn(3, 4).T", (4, 3), torch.float32),
    ],
)
def test_a_tensor_can_be_written(text, shape, dtype):
    found = written_tensor(text)
    assert tuple(found.shape) == shape and found.dtype == dtype
    assert torch.equal(found, written_tensor(text)) or found.isnan().any()


@pytest.mark.parametrize("text", ["", "2x", "2x3:flaot32", "[[1], [2, 3]]", "['a']", "999999x999999", "x", "[1]:"])
def test_a_tensor_written_wrongly_is_refused(text):
    with pytest.raises(LensError):
        written_tensor(text)
