"""Twenty-seven backward passes that are wrong in ways that happen, each in a small model.

`FAULTS[name]()` gives (model, batch, loss). The forward passes are right; the class at fault is that in `WRONG[name]`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional

WRONG: dict[str, type[Function]] = {}
FAULTS: dict[str, Callable[[], tuple[nn.Module, tuple, Callable]]] = {}


def fault(name: str, *shapes: tuple[int, ...], ids: Tensor | None = None):
    """Plants the Function after a linear layer; its other tensors are parameters of these shapes."""

    def plant(wrong: type[Function]) -> type[Function]:
        def make():
            torch.manual_seed(3)
            model = Planted(wrong, shapes, ids)
            return (
                model,
                (torch.randn(6, 6),),
                lambda out: (out * torch.linspace(-1, 1, out.numel()).reshape(out.shape)).sum(),
            )

        WRONG[name], FAULTS[name] = wrong, make
        return wrong

    return plant


class Planted(nn.Module):
    """Linear layer, the Function at fault, linear layer."""

    def __init__(self, wrong: type[Function], shapes: tuple[tuple[int, ...], ...], ids: Tensor | None) -> None:
        super().__init__()
        self.wrong, self.ids = wrong, ids
        self.before, self.after = nn.Linear(6, 6), nn.Linear(6, 6)
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(shape)) for shape in shapes])

    def forward(self, x: Tensor) -> Tensor:
        more = () if self.ids is None else (self.ids,)
        y = self.wrong.apply(self.before(x), *self.weights, *more)
        return self.after(y) if y.dim() == 2 and y.shape[-1] == 6 else y


@fault("a term of the product rule is dropped")
class Silu(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * torch.sigmoid(x)


@fault("the mean is taken over the wrong axis")
class Centre(Function):
    @staticmethod
    def forward(ctx, x):
        return x - x.mean(0, keepdim=True)

    @staticmethod
    def backward(ctx, g):
        return g - g.mean(1, keepdim=True)


@fault("one of two uses is not accumulated", (6, 6), (6, 6))
class TwoBranches(Function):
    @staticmethod
    def forward(ctx, x, a, b):
        ctx.save_for_backward(x, a, b)
        return x @ a + torch.tanh(x @ b)

    @staticmethod
    def backward(ctx, g):
        x, a, b = ctx.saved_tensors
        inner = g * (1 - torch.tanh(x @ b) ** 2)
        return g @ a.t(), x.t() @ g, x.t() @ inner


@fault("a square weight is transposed", (6, 6))
class SquareLinear(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w.t()

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g @ w.t(), g.t() @ x


@fault("the mask is off by one")
class CausalMean(Function):
    @staticmethod
    def forward(ctx, x):
        return torch.where(torch.ones_like(x).triu(1) > 0, 0.0, x) @ torch.ones_like(x)

    @staticmethod
    def backward(ctx, g):
        return torch.where(torch.ones_like(g).triu(0) > 0, 0.0, g @ torch.ones_like(g))


@fault("a broadcast is summed over the wrong axis", (6,))
class ColumnBias(Function):
    @staticmethod
    def forward(ctx, x, b):
        return x + b[:, None]

    @staticmethod
    def backward(ctx, g):
        return g, g.sum(0)


@fault("the scale 1/sqrt(d) is missing", (6, 6))
class Scores(Function):
    @staticmethod
    def forward(ctx, q, k):
        ctx.save_for_backward(q, k)
        return q @ k.t() / math.sqrt(q.shape[-1])

    @staticmethod
    def backward(ctx, g):
        q, k = ctx.saved_tensors
        return g @ k, g.t() @ q / math.sqrt(q.shape[-1])


@fault("a mean is differentiated as a sum")
class MeanSquare(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x * x).mean()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x


@fault("eps is dropped")
class Normalise(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.rsqrt((x * x).sum(-1, keepdim=True) + 1e-5)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        r = torch.rsqrt((x * x).sum(-1, keepdim=True))
        return r * g - x * r**3 * (x * g).sum(-1, keepdim=True)


@fault("the sign of the second operand is wrong", (6, 6))
class Difference(Function):
    @staticmethod
    def forward(ctx, x, b):
        return x - b

    @staticmethod
    def backward(ctx, g):
        return g, g


@fault("what was saved has been overwritten since")
class Scratch(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.kept = x.clone()
        y = ctx.kept * ctx.kept
        ctx.kept += 1.0
        return y

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.kept


@fault("gelu is differentiated as its tanh approximation")
class Gelu(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return functional.gelu(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            return torch.autograd.grad(functional.gelu(leaf, approximate="tanh"), leaf, g)[0]


@fault("a branch is detached", (6, 6))
class Residual(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x + torch.relu(x @ w)

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g, x.t() @ (g * (x @ w > 0))


@fault("padding_idx is ignored", (5, 6), ids=torch.tensor([0, 1, 0, 2, 4, 4]))
class Embedding(Function):
    @staticmethod
    def forward(ctx, x, table, ids):
        ctx.save_for_backward(table, ids)
        return x + functional.embedding(ids, table, padding_idx=0)

    @staticmethod
    def backward(ctx, g):
        table, ids = ctx.saved_tensors
        return g, torch.zeros_like(table).index_add(0, ids, g), None


@fault("ignored targets are counted", ids=torch.tensor([0, 1, -100, 2, 5, -100]))
class CrossEntropy(Function):
    @staticmethod
    def forward(ctx, logits, targets):
        ctx.save_for_backward(logits, targets)
        return functional.cross_entropy(logits, targets)

    @staticmethod
    def backward(ctx, g):
        logits, targets = ctx.saved_tensors
        counted = (targets >= 0)[:, None]
        hot = functional.one_hot(targets.clamp(min=0), logits.shape[-1]) * counted
        return g * (torch.softmax(logits, -1) * counted - hot) / len(targets), None


@fault("the dropout mask is drawn again")
class Dropout(Function):
    @staticmethod
    def forward(ctx, x):
        return x * (torch.rand_like(x) > 0.4) / 0.6

    @staticmethod
    def backward(ctx, g):
        return g * (torch.rand_like(g) > 0.4) / 0.6


@fault("a tied weight is counted once", (6, 6))
class Tied(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return torch.tanh(x @ w) @ w.t()

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        h = torch.tanh(x @ w)
        inner = (g @ w) * (1 - h * h)
        return inner @ w.t(), x.t() @ inner


@fault("the causal mask is missing in the backward pass")
class CausalSoftmax(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.softmax(x.masked_fill(torch.ones_like(x).triu(1) > 0, -1e30), -1)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        p = torch.softmax(x, -1)
        return p * (g - (p * g).sum(-1, keepdim=True))


@fault("softmax has only the diagonal of its Jacobian")
class Softmax(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(torch.softmax(x, -1))
        return torch.softmax(x, -1)

    @staticmethod
    def backward(ctx, g):
        (p,) = ctx.saved_tensors
        return g * p * (1 - p)


@fault("layer norm forgets that the mean depends on the input")
class LayerNorm(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return functional.layer_norm(x, x.shape[-1:])

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        deviation = torch.sqrt(x.var(-1, correction=0, keepdim=True) + 1e-5)
        y = (x - x.mean(-1, keepdim=True)) / deviation
        return (g - y * (g * y).mean(-1, keepdim=True)) / deviation


@fault("RMSNorm forgets its cross term", (6,))
class RmsNorm(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        r = torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6)
        return g * w * r, (g * x * r).sum(0)


@fault("a gradient is a millionth too large")
class Scaled(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.exp(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * torch.exp(x) * (1 + 1e-6)


@fault("the backward pass computes in float32", (6, 6))
class Single(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return (g.float() @ w.t().float()).to(g.dtype), x.t() @ g


@fault("a clamp lets gradients through beyond its bounds")
class Clamp(Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp(-0.3, 0.3)

    @staticmethod
    def backward(ctx, g):
        return g


@fault("a rotation is not turned back")
class Rotate(Function):
    @staticmethod
    def forward(ctx, x):
        a, b = x.chunk(2, -1)
        return torch.cat([0.8 * a - 0.6 * b, 0.6 * a + 0.8 * b], -1)

    @staticmethod
    def backward(ctx, g):
        a, b = g.chunk(2, -1)
        return torch.cat([0.8 * a - 0.6 * b, 0.6 * a + 0.8 * b], -1)


@fault("the heads of a group are averaged instead of summed", (6, 3))
class Grouped(Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.save_for_backward(x, k)
        return x * torch.repeat_interleave(k, 2, -1)

    @staticmethod
    def backward(ctx, g):
        x, k = ctx.saved_tensors
        return g * torch.repeat_interleave(k, 2, -1), (g * x).reshape(6, 3, 2).mean(-1)


@fault("the gradient of a weight is not given back at all", (6, 6))
class Frozen(Function):
    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(w)
        return x * w

    @staticmethod
    def backward(ctx, g):
        (w,) = ctx.saved_tensors
        return g * w, None
