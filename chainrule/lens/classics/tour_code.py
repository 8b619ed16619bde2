"""The code of the tour of tensors: (title, words, lines that are run)."""

TOUR = (
    (
        "Ranks: how many axes",
        "A tensor is a block of numbers with any number of axes. Rank 0 is a scalar, rank 1 a vector, rank 2 a matrix; "
        "higher ranks have no name of their own. In a language model a batch of texts is (batch, time), and after the "
        "embedding (batch, time, width).",
        """
scalar = torch.tensor(2.2)
vector = torch.tensor([1.0, 2.0, 3.0])
matrix = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
cube = torch.arange(24.0).view(2, 3, 4)
[(one.ndim, tuple(one.shape)) for one in (scalar, vector, matrix, cube)]
scalar.item()
matrix[1, 2]
cube[0].shape
""",
    ),
    (
        "Dtypes: how a number is stored",
        "Python ints become int64, Python floats float32 (torch's default dtype), True and False bool. NumPy's floats "
        "are float64 and stay so. Where two types meet, the higher kind wins: bool, integer, float, complex.",
        """
torch.tensor([1, 2, 3]).dtype
torch.tensor([1.0, 2.0]).dtype
torch.tensor([True, False]).dtype
torch.tensor(np.array([1.0, 2.0])).dtype
torch.tensor([1, 2]) / 2
(torch.tensor([1, 2]) + torch.tensor([0.5, 0.5])).dtype
lens.explain("i + 0.5", i=torch.tensor([1, 2])).steps[0].dtype
""",
    ),
    (
        ".to: another dtype, another device",
        ".to copies when there is something to convert, and returns the same tensor when there is not. Towards "
        "integers fractions are cut off. bfloat16 keeps 8 bits of precision: 1 + 1/256 is 1 in it.",
        """
exact = torch.tensor([1.0, 2.7, 1 + 1 / 256])
exact.to(torch.int64)
exact.to(torch.bfloat16).float()
exact.to(torch.float32) is exact
lens.shares(exact=exact, double=exact.to(torch.float64))
""",
    ),
    (
        "view and reshape: another shape for the same numbers",
        "Numbers lie in memory one after the other; the stride says how many to pass for one step along an axis. view "
        "changes only shape and stride. Where no stride would do, view refuses, and reshape copies.",
        """
matrix.stride()
column = matrix.view(6, 1)
column[0] = 100.0
matrix
matrix.T.view(6)
lens.viewing(matrix.T, 6).why
matrix.T.reshape(6)
lens.shares(matrix=matrix, column=column, copy=matrix.T.reshape(6))
""",
    ),
    (
        ".T: axes change places",
        "Transposing moves no number: shape and stride change places. The result is no longer contiguous. For more "
        "than two axes, .mT turns the last two and .permute all.",
        """
matrix.T.shape, matrix.T.stride(), matrix.T.is_contiguous()
cube.mT.shape
cube.permute(2, 0, 1).shape
lens.tensor(matrix.T, name="matrix.T").layout.order
""",
    ),
    (
        "Products: inner sizes must be equal",
        "@ sums over the last axis of the left and the last but one of the right: (n×k)·(k×m) → n×m. * is something "
        "else: element by element, with broadcasting.",
        """
weights = torch.ones(3, 2)
matrix @ weights
matrix * torch.tensor([1.0, 10.0, 100.0])
lens.explain("x.view(4, 1).T @ y", x=torch.ones(2, 2), y=torch.ones(4, 3))
lens.explain("x @ y", x=torch.ones(2, 3), y=torch.ones(4, 3))
""",
    ),
    (
        "NumPy: shared memory or a copy",
        "torch.from_numpy and .numpy() share memory, both ways; torch.tensor copies. A tensor with a gradient must be "
        "detached first, and bfloat16 is unknown to NumPy.",
        """
array = np.zeros(3)
shared, copied = torch.from_numpy(array), torch.tensor(array)
array[0] = 7.0
shared, copied
lens.shares(array=array, shared=shared, copied=copied)
lens.tensor(torch.ones(2, requires_grad=True), name="w").numpy.call
lens.tensor(torch.ones(2, dtype=torch.bfloat16), name="half").numpy.call
""",
    ),
    (
        "autograd: tensors that remember",
        "A leaf with requires_grad gets a gradient. What is computed from it carries a grad_fn, the way back. "
        "backward() walks that way and adds to .grad of every leaf, so that a second call adds a second time.",
        """
w = torch.tensor(2.2, requires_grad=True)
x, b, y = torch.tensor(1.1), torch.tensor(0.0, requires_grad=True), torch.tensor(1.0)
loss = torch.nn.functional.binary_cross_entropy(torch.sigmoid(x * w + b), y)
loss.grad_fn.name()
loss.backward(retain_graph=True)
w.grad, b.grad
loss.backward()
w.grad
lens.tensor(w, name="w").autograd.words
""",
    ),
    (
        "Devices: where the numbers are",
        "Operands must be on one device. meta has shapes and no values: it answers what shape a result would have, "
        "without computing it.",
        """
torch.cuda.is_available()
matrix.device
(torch.empty(10_000, 20_000, device="meta") @ torch.empty(20_000, 5, device="meta")).shape
lens.tensor(torch.randn(12, 40), name="random")
""",
    ),
)
